// SPDX-License-Identifier: Apache-2.0
// The virtual machines that are served, found by the address a connection comes from and the network it came by: the
// name of the interface that its listener is bound to; empty for a listener that is bound to none.
// Built and changed by the inventory, on the loop's thread; a machine keeps its place while its model changes.
// A model that cannot be applied whole is refused, so that no machine is half closed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/net.h"
#include "base/result.h"
#include "content/certificates.h"
#include "content/machine.h"
#include "gateway/askers.h"
#include "gateway/config.h"
#include "gateway/model.h"
#include "gateway/nonce_streams.h"
#include "gateway/profile.h"
#include "gateway/rate_limit.h"
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
  std::int64_t last_ns = 0;   ///< wall clock: when it was last answered; 0: never
  std::uint64_t audited = 0;  ///< served although enforce would have refused
  std::array<std::uint64_t, kReasonCount> refused{};
  // In this incarnation:
  std::uint64_t key_asked = 0;           ///< key requests while one is latched
  std::int64_t key_asked_ns = 0;         ///< wall clock: the last of them; 0: none
  std::uint64_t key_used_by_others = 0;  ///< requests of other machines that were signed with the key of this one
  Askers askers;                         ///< agents that know a key of it
};

struct Vm {
  VmModel model;
  ServicePolicy imds;
  ServicePolicy wire_server;  ///< HostGAPlugin follows it (protocol.md B.4)
  content::Machine content;
  std::vector<Ipv4Address> addresses;
  std::string network = {};  ///< the only one that it is heard in; empty: any in which nobody else has its address
  VmCounters counters;
  RateLimit imds_rate;
  RateLimit identity_rate;
  RateLimit key_rate;
  NonceStreams nonces;
  std::uint32_t moves = 0;           ///< that it has made, if it has arrived in this run of the host
  LiveKey* latched = nullptr;        ///< owned by the key ring
  LiveKey* outgoing = nullptr;       ///< the one before it, for a while after a rotation; owned by the key ring
  std::vector<std::string> pending;  ///< guids of its other keys there

  const ServicePolicy& policy(Service service) const { return service == Service::kImds ? imds : wire_server; }
};

struct Policies {
  ServicePolicy imds;
  ServicePolicy wire_server;
};

/// Applies settings that stand at `settings_at` to the profiles they refer to.
Policies resolve_policies(const ProxyAgentSettings& settings, const ProfileCatalog& profiles,
                          const std::string& settings_at, json::Problems& problems);
/// Applies settings and profiles. `pointer`: where the model stands; with any problem the machine means nothing.
Vm make_vm(VmModel model, const ProfileCatalog& profiles, const content::Vault& vault, const std::string& pointer,
           json::Problems& problems);
/// The same; the name of the machine is in every error.
Result<Vm> make_vm(VmModel model, const ProfileCatalog& profiles, const content::Vault& vault = {});

class VmRegistry {
 public:
  /// Refused: a vmId that another machine has, an address that one has in the same network, no address at all.
  Result<void> add(Vm vm);

  /// Gives a machine that is here what `vm` says; its counters and key stay. Addresses must be free or its own.
  void replace(Vm& old, Vm vm);
  /// Whoever refers to it must have let go of it.
  void remove(Vm& vm);

  /// The machine that asks, or null: to be refused. That of this network comes before one of none; one of another
  /// network is none.
  Vm* find(const Ipv4Address& source, std::string_view network = {}) {
    Vm* const here = network.empty() ? nullptr : holder(source, network);
    return here != nullptr ? here : holder(source, {});
  }
  const Vm* find(const Ipv4Address& source, std::string_view network = {}) const {
    return const_cast<VmRegistry*>(this)->find(source, network);
  }
  /// Who has been given this address in exactly this network, or (empty) in none.
  Vm* holder(const Ipv4Address& source, std::string_view network) const {
    const auto found = by_place_.find(PlaceView{.address = number(source), .network = network});
    return found == by_place_.end() ? nullptr : found->second;
  }
  Vm* find_by_id(const std::string& vm_id) const;
  const std::vector<std::unique_ptr<Vm>>& all() const { return vms_; }

 private:
  static std::uint32_t number(const Ipv4Address& a) {
    return static_cast<std::uint32_t>(a[0]) << 24 | static_cast<std::uint32_t>(a[1]) << 16 |
           static_cast<std::uint32_t>(a[2]) << 8 | a[3];
  }

  // Looked for without a copy of the name; one of an interface is short enough to be kept without one, too.
  struct PlaceView {
    std::uint32_t address;
    std::string_view network;
    bool operator==(const PlaceView&) const = default;
  };
  struct Place {
    std::uint32_t address;
    std::string network;
    operator PlaceView() const { return {.address = address, .network = network}; }
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const PlaceView& place) const {
      constexpr std::size_t kOdd = 0x9e37'79b9'7f4a'7c15;
      return place.address * kOdd ^ std::hash<std::string_view>()(place.network);
    }
  };
  struct Same {
    using is_transparent = void;
    bool operator()(const PlaceView& a, const PlaceView& b) const { return a == b; }
  };

  void take_place(Vm& vm);
  void give_up_place(const Vm& vm);

  std::vector<std::unique_ptr<Vm>> vms_;
  std::unordered_map<std::string, Vm*> by_id_;  // vmId
  std::unordered_map<Place, Vm*, Hash, Same> by_place_;
};

}  // namespace msp::gateway
