// SPDX-License-Identifier: Apache-2.0
#include "gateway/audit_report.h"

#include <algorithm>

namespace msp::gateway {
namespace {

constexpr std::size_t kMostMethod = 32;

bool belongs_to(const AuditRow& row, const Seen& seen, bool was_refused) {
  return row.service == seen.service && row.was_refused == was_refused && row.reason == seen.reason &&
         row.caller_known == (seen.caller != nullptr) && (seen.caller == nullptr || row.caller == *seen.caller);
}

}  // namespace

void AuditReports::audited(const std::string& vm_id, const Seen& seen) {
  OfOne& one = of(vm_id, seen);
  ++one.looked_at;
  if (seen.reason != Reason::kNone || (seen.caller != nullptr && !seen.caller->denied.empty())) {
    add(one, seen, false);
  }
}

void AuditReports::refused(const std::string& vm_id, const Seen& seen) { add(of(vm_id, seen), seen, true); }

AuditReports::OfOne& AuditReports::of(const std::string& vm_id, const Seen& seen) {
  const auto [found, fresh] = machines_.try_emplace(vm_id);
  OfOne& one = found->second;
  if (fresh) {
    one.since_ns = seen.now_ns;
  }
  one.names_callers = one.names_callers || seen.caller != nullptr;
  return one;
}

void AuditReports::add(OfOne& one, const Seen& seen, bool was_refused) {
  auto row = std::ranges::find_if(one.rows, [&](const AuditRow& each) { return belongs_to(each, seen, was_refused); });
  if (row == one.rows.end()) {
    if (one.rows.size() == kMostRows || rows_ == kMostRowsOfAll) {
      ++one.others;
      return;
    }
    ++rows_;
    one.rows.push_back({.service = seen.service,
                        .was_refused = was_refused,
                        .reason = seen.reason,
                        .caller_known = seen.caller != nullptr,
                        .caller = seen.caller == nullptr ? protocol::Caller{} : *seen.caller,
                        .first_ns = seen.now_ns});
    row = one.rows.end() - 1;
  }
  ++row->count;
  row->last_ns = seen.now_ns;
  row->method = seen.method.substr(0, kMostMethod);
  row->path = seen.path.substr(0, kMostPath);
  row->request_id = seen.request_id;
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
