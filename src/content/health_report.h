// SPDX-License-Identifier: Apache-2.0
// What a guest's agent reports to WireServer of its provisioning (POST /machine?comp=health).
// Pure function; any thread.
// Bytes are from a guest: what is not the report that agents send is refused; texts are cut.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::content {

struct HealthReport {
  std::string container_id;
  std::string state;       ///< "Ready" or "NotReady"
  std::string sub_status;  ///< "Provisioning", "ProvisioningFailed", …; at most kMostText bytes, as the next
  std::string description;
};

inline constexpr std::size_t kMostText = 512;

Result<HealthReport> parse_health_report(std::string_view xml);

}  // namespace msp::content
