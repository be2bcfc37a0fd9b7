// SPDX-License-Identifier: Apache-2.0
// What an authority names (protocol.md F, step 4), and whether a Host fits the address that was connected to (J.2).
// Pure functions; any thread. Names are never resolved, and never decide where a request goes: the kernel's record
// does. Faults say what is wrong with the authority.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/net.h"
#include "request/fault.h"

namespace msp::request {

enum class HostFamily : std::uint8_t { kName, kIpv4, kIpv6 };

struct Destination {
  std::optional<Service> service;  ///< none: unknown
  HostFamily family = HostFamily::kName;
  std::array<std::uint8_t, 16> address{};  ///< network order; an IPv4 address in its first four bytes
  std::uint16_t port = 0;                  ///< host order; 0 without an authority
  std::string_view host;                   ///< as written, into the authority
};

/// `authority`: bytes from the client between "http://" and the path. `::ffff:a.b.c.d` counts as IPv4.
Fault classify_authority(std::string_view authority, Destination& out);

/// Whether `host` (bytes from the client: a Host value or an authority) is the address of `destination`, or one of
/// `names` (any case), with or without the destination's port. Other spellings of the address do not fit.
bool host_fits(std::string_view host, const Ipv4Endpoint& destination, std::span<const std::string> names);

}  // namespace msp::request
