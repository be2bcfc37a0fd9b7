// SPDX-License-Identifier: Apache-2.0
// Constants of the data path: guarded services and bounds.
// Made by the assembly from the configuration, then never changed; read on the data loop.
// All bounds are above zero; sizes in bytes, times in milliseconds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/net.h"
#include "policy/ruleset.h"

namespace msp::proxy {

struct ServiceSettings {
  Ipv4Endpoint endpoint;                ///< as guests connect to it, and where requests are forwarded to
  std::vector<std::string> host_names;  ///< lower case; allowed in `Host` besides the address
};

struct Settings {
  std::array<ServiceSettings, kServiceCount> services;  ///< index: Service
  Ipv4Endpoint listener;                                ///< where redirected connections arrive, and direct ones
  std::uint32_t max_connections = 2048;                 ///< a quarter of them for root alone (places.h)
  std::uint32_t max_connections_per_user = 512;         ///< root is bounded by max_connections only
  std::uint32_t head_timeout_ms = 10'000;
  std::uint32_t idle_timeout_ms = 75'000;
  std::uint32_t body_timeout_ms = 30'000;
  std::uint32_t upstream_timeout_ms = 60'000;
  std::uint32_t connect_timeout_ms = 5'000;
  std::uint32_t not_ready_hold_ms = 1'500;
  std::uint32_t max_signed_body_bytes = 102'400;
  std::uint32_t max_exempt_body_bytes = 104'857'600;

  const ServiceSettings& of(Service service) const { return services[static_cast<std::size_t>(service)]; }
  /// The guarded service at that address, if any.
  std::optional<Service> service_at(const Ipv4Endpoint& endpoint) const {
    for (std::size_t i = 0; i < kServiceCount; ++i) {
      if (services[i].endpoint == endpoint) {
        return static_cast<Service>(i);
      }
    }
    return std::nullopt;
  }
};

}  // namespace msp::proxy
