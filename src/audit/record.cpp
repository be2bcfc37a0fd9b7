// SPDX-License-Identifier: Apache-2.0
#include "audit/record.h"

#include "protocol/error_form.h"

namespace msp::audit {

std::string_view to_string(Decision decision) {
  switch (decision) {
    case Decision::kPermit:
      return "permit";
    case Decision::kDeny:
      return "deny";
    case Decision::kAudit:
      return "audit";
  }
  return "deny";
}

std::string_view to_string(DryRun dry_run) {
  switch (dry_run) {
    case DryRun::kNone:
      return "";
    case DryRun::kAllow:
      return "allow";
    case DryRun::kDeny:
      return "deny";
  }
  return "";
}

bool refused_by_host(const Record& record) {
  return record.decision != Decision::kDeny && record.service != "local" && protocol::is_host_refusal(record.status);
}

}  // namespace msp::audit
