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

}  // namespace msp::audit
