// SPDX-License-Identifier: Apache-2.0
// How key, marks, rules and logs go with the agent, wherever its configuration has them.
// Main thread of a command; blocks on the disk.
// Files go by their names alone: a folder that a configuration names may hold what is others'. It goes only when that
// leaves it empty, and what stays is told. An Error names what could not be removed.
#pragma once

#include <cstdint>

#include "agent/config.h"
#include "agent/setup_files.h"
#include "base/result.h"

namespace msp::agent {

/// kLogs: another agent of the same protocol uses key and rules.
enum class StateExtent : std::uint8_t { kLogs, kAll };
Result<void> remove_configured_state(const Root& root, const Config& config, StateExtent extent);

}  // namespace msp::agent
