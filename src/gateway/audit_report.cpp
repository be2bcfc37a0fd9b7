// SPDX-License-Identifier: Apache-2.0
#include "gateway/audit_report.h"

#include <algorithm>

namespace msp::gateway {

void AuditReports::note(const std::string& vm_id, Service service, std::string_view reason, bool by_rules,
                        const protocol::Caller* caller, std::int64_t now_ns) {
  OfOne& one = machines_[vm_id];
  if (one.looked_at++ == 0) {
    one.since_ns = now_ns;
  }
  one.names_callers = one.names_callers || caller != nullptr;
  if (reason.empty()) {
    return;
  }
  const auto found = std::ranges::find_if(one.rows, [&](const WouldRefuse& row) {
    return row.service == service && row.by_rules == by_rules && row.reason == reason &&
           row.caller_known == (caller != nullptr) && (caller == nullptr || row.caller == *caller);
  });
  if (found != one.rows.end()) {
    ++found->count;
    found->last_ns = now_ns;
    return;
  }
  if (one.rows.size() == kMostRows || rows_ == kMostRowsOfAll) {
    ++one.others;
    return;
  }
  ++rows_;
  one.rows.push_back({.service = service,
                      .by_rules = by_rules,
                      .reason = std::string(reason),
                      .caller_known = caller != nullptr,
                      .caller = caller == nullptr ? protocol::Caller{} : *caller,
                      .count = 1,
                      .first_ns = now_ns,
                      .last_ns = now_ns});
}

const AuditReports::OfOne* AuditReports::find(const std::string& vm_id) const {
  const auto found = machines_.find(vm_id);
  return found == machines_.end() ? nullptr : &found->second;
}

void AuditReports::forget(const std::string& vm_id) {
  const auto found = machines_.find(vm_id);
  if (found != machines_.end()) {
    rows_ -= found->second.rows.size();
    machines_.erase(found);
  }
}

}  // namespace msp::gateway
