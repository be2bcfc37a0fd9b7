// SPDX-License-Identifier: Apache-2.0
// What the worker takes from itself before it reads a client's first byte (docs/decisions/privilege-separation.md).
// Called once, on the only thread that is there, become() first.
// Failure names the step; the worker must then end: it serves confined or not at all.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace msp::worker {

/// Ends with its parent; an empty root that is nowhere any more; another user, without groups and capabilities, for
/// good; no core, no tracing.
Result<void> become(std::uint32_t uid, std::uint32_t gid);

/// From now on every thread of this process may do what serving takes (system_calls.cpp) and hears EPERM to all else.
Result<void> allow_serving_only();

}  // namespace msp::worker
