// SPDX-License-Identifier: Apache-2.0
// The agent's metrics (docs/metrics.md), made of the same snapshot as its status.
// Pure; any thread.
// Holds no secret, and no label whose values a client chooses: the number of series is bounded.
#pragma once

#include <string>

#include "status/snapshot.h"

namespace msp::status {

std::string metrics_text(const Snapshot& snapshot);

}  // namespace msp::status
