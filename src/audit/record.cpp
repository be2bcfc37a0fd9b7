// SPDX-License-Identifier: Apache-2.0
#include "audit/record.h"

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

}  // namespace msp::audit
