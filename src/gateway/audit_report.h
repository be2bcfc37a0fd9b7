// SPDX-License-Identifier: Apache-2.0
// What enforcing would refuse, of services that are in audit mode: by machine, reason and caller (docs/host-admin.md).
// Owned by the gateway; loop's thread; shared with the admin API.
// Bounded in rows, for one machine and for all; what does not fit is counted. Texts of a caller are what its agent has
// signed, so they are its word, not a stranger's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/net.h"
#include "protocol/extensions.h"

namespace msp::gateway {

struct WouldRefuse {
  Service service = Service::kImds;
  bool by_rules = false;  ///< the guest's agent would, by the allowlist; else this host
  std::string reason;
  bool caller_known = false;  ///< false: the request has not named its caller, only the machine is known
  protocol::Caller caller;
  std::uint64_t count = 0;
  std::int64_t first_ns = 0;  ///< wall clock
  std::int64_t last_ns = 0;
};

class AuditReports {
 public:
  static constexpr std::size_t kMostRows = 256;
  static constexpr std::size_t kMostRowsOfAll = 50'000;

  struct OfOne {
    std::vector<WouldRefuse> rows;  ///< in order of first appearance
    std::uint64_t others = 0;       ///< requests that had no room in the rows
    std::int64_t since_ns = 0;      ///< of the first request that was looked at since the start, or since forget()
    std::uint64_t looked_at = 0;    ///< requests of services in audit mode
    bool names_callers = false;     ///< some request has named its caller
  };

  /// A request of a service in audit mode. `reason` empty: enforcing would let it pass. `caller` null: not named.
  void note(const std::string& vm_id, Service service, std::string_view reason, bool by_rules,
            const protocol::Caller* caller, std::int64_t now_ns);
  /// Null: nothing was looked at.
  const OfOne* find(const std::string& vm_id) const;
  void forget(const std::string& vm_id);

 private:
  std::unordered_map<std::string, OfOne> machines_;
  std::size_t rows_ = 0;
};

}  // namespace msp::gateway
