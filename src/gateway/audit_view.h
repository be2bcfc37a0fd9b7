// SPDX-License-Identifier: Apache-2.0
// The audit report as the admin API shows it (docs/host-admin.md).
// A pure function of values on the loop's thread.
// Nothing fails; texts of guests are escaped.
#pragma once

#include <string>

#include "gateway/audit_report.h"

namespace msp::gateway {

/// Null: nothing was refused or looked at.
std::string audit_json(const AuditReports::OfOne* report);

}  // namespace msp::gateway
