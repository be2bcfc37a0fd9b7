// SPDX-License-Identifier: Apache-2.0
// The host's metrics (docs/metrics.md): requests by virtual machine and why they were refused.
// Called on the host's one thread.
// A machine has one series for each reason that it was refused for; labels come from models, not from callers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/task.h"
#include "gateway/vm_registry.h"

namespace msp::gateway {

struct HostCounts {
  std::uint64_t unknown_callers = 0;
  std::uint64_t malformed_requests = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t access_log_lost = 0;
};

/// Gives guests their turn after some machines each; what is applied meanwhile may be in it or not.
Task<std::string> metrics_text(Loop& loop, const VmRegistry& registry, HostCounts counts);

}  // namespace msp::gateway
