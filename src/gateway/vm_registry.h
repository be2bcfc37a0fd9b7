// SPDX-License-Identifier: Apache-2.0
// The virtual machines that are served, found by the address a connection comes from.
// Built at start; afterwards owned by the loop's thread. Addresses of machines do not change while it runs.
// A model that cannot be applied whole refuses the start, so that no machine is half closed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/net.h"
#include "base/result.h"
#include "gateway/config.h"
#include "gateway/model.h"
#include "gateway/profile.h"
#include "gateway/reason.h"

namespace msp::gateway {

struct LiveKey;

/// What the model asks of one service, with the allowlist it refers to.
struct ServicePolicy {
  Mode mode = Mode::kDisabled;
  std::string rule_id;  ///< changes whenever anything of the policy changes (protocol.md C.6); never empty
  bool default_allow = true;
  std::optional<RuleSections> rules;
};

struct VmCounters {
  std::uint64_t requests = 0;
  std::uint64_t audited = 0;  ///< served although enforce would have refused
  std::array<std::uint64_t, kReasonCount> refused{};
};

struct Vm {
  VmModel model;
  ServicePolicy imds;
  ServicePolicy wire_server;  ///< HostGAPlugin follows it (protocol.md B.4)
  json::Value instance;
  std::string instance_text;  ///< compact JSON of `instance`
  std::vector<Ipv4Address> addresses;
  VmCounters counters;
  LiveKey* latched = nullptr;  ///< owned by the key ring

  const ServicePolicy& policy(Service service) const { return service == Service::kImds ? imds : wire_server; }
};

/// Applies settings and profiles; the name of the machine is in every error.
Result<Vm> make_vm(VmModel model, const ProfileCatalog& profiles);

class VmRegistry {
 public:
  /// Reads models and profiles that the configuration names.
  static Result<VmRegistry> load(const Config& config);

  /// Refused: an address or vmId that another machine has, no address at all.
  Result<void> add(Vm vm);

  /// The machine behind a source address, or null: to be refused.
  Vm* find(const Ipv4Address& source) {
    const auto found = by_address_.find(number(source));
    return found == by_address_.end() ? nullptr : found->second;
  }
  Vm* find_by_id(std::string_view vm_id);
  const std::vector<std::unique_ptr<Vm>>& all() const { return vms_; }

 private:
  static std::uint32_t number(const Ipv4Address& a) {
    return static_cast<std::uint32_t>(a[0]) << 24 | static_cast<std::uint32_t>(a[1]) << 16 |
           static_cast<std::uint32_t>(a[2]) << 8 | a[3];
  }

  std::vector<std::unique_ptr<Vm>> vms_;
  std::unordered_map<std::uint32_t, Vm*> by_address_;
};

}  // namespace msp::gateway
