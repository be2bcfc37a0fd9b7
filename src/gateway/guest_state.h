// SPDX-License-Identifier: Apache-2.0
// What is known of machines beyond their models while the host runs: what guests reported, what is scheduled, and who
// asks that belongs to no machine. Events are in the store as well; the rest begins anew with the host.
// Owned by the gateway; loop's thread; shared with the admin API.
// Bounded by its parts.
#pragma once

#include <string>

#include "content/guest_reports.h"
#include "gateway/audit_report.h"
#include "gateway/kept_events.h"
#include "gateway/unknown_callers.h"

namespace msp::gateway {

struct GuestState {
  explicit GuestState(std::size_t report_bytes) : reports(report_bytes) {}

  content::GuestReports reports;
  KeptEvents events;
  AuditReports audits;
  UnknownCallers unknown_callers;

  /// The machine is gone.
  void forget(const std::string& vm_id) {
    reports.forget(vm_id);
    events.forget(vm_id);
    audits.forget(vm_id);
  }
};

}  // namespace msp::gateway
