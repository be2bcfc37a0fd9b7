// SPDX-License-Identifier: Apache-2.0
// What was refused of a machine, and what enforcing would refuse of its services in audit mode: by reason and caller
// (docs/host-admin.md).
// Owned by the gateway; loop's thread; shared with the admin API.
// Bounded in rows, for one machine and for all; what does not fit is counted. Texts of a caller are what its agent has
// signed, so they are its word, not a stranger's; method and path are anybody's, and cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/net.h"
#include "gateway/reason.h"
#include "protocol/extensions.h"

namespace msp::gateway {

/// A request as the report sees it. Views: for the time of the call.
struct Seen {
  Service service = Service::kImds;
  Reason reason = Reason::kNone;
  const protocol::Caller* caller = nullptr;  ///< null: not named
  std::string_view method{};
  std::string_view path{};
  std::string_view request_id{};
  std::int64_t now_ns = 0;  ///< wall clock
};

struct AuditRow {
  Service service = Service::kImds;
  bool was_refused = false;       ///< else it was served, and enforcing would refuse it
  Reason reason = Reason::kNone;  ///< kNone: the guest's agent would refuse, by the allowlist, for `caller.denied`
  bool caller_known = false;      ///< false: the request has not named its caller, only the machine is known
  protocol::Caller caller{};
  std::uint64_t count = 0;
  std::int64_t first_ns = 0;  ///< wall clock
  // Of the last one:
  std::int64_t last_ns = 0;
  std::string method{};
  std::string path{};
  std::string request_id{};

  bool by_rules() const { return reason == Reason::kNone; }
};

class AuditReports {
 public:
  static constexpr std::size_t kMostRows = 256;
  static constexpr std::size_t kMostRowsOfAll = 50'000;
  static constexpr std::size_t kMostPath = 256;  ///< bytes

  struct OfOne {
    std::vector<AuditRow> rows;   ///< in order of first appearance
    std::uint64_t others = 0;     ///< requests that had no room in the rows
    std::int64_t since_ns = 0;    ///< of the first request that came here since the start, or since forget()
    std::uint64_t looked_at = 0;  ///< requests of services in audit mode
    bool names_callers = false;   ///< some request that came here has named its caller
  };

  /// A request that was served by a service in audit mode; kNone: this host would let it pass also if it enforced.
  void audited(const std::string& vm_id, const Seen& seen);
  /// A request that was refused, in whatever mode.
  void refused(const std::string& vm_id, const Seen& seen);
  /// Null: nothing came here.
  const OfOne* find(const std::string& vm_id) const;
  void forget(const std::string& vm_id);

 private:
  OfOne& of(const std::string& vm_id, const Seen& seen);
  void add(OfOne& one, const Seen& seen, bool was_refused);

  std::unordered_map<std::string, OfOne> machines_;
  std::size_t rows_ = 0;
};

}  // namespace msp::gateway
