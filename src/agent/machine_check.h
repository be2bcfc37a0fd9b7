// SPDX-License-Identifier: Apache-2.0
// Whether this machine can be guarded, as `msp-agent check-machine` says it: all that the agent itself would find out
// at its start, and what stands in its way, asked with the agent's own readers and the kernel by trying. Main thread of
// a command; blocks. Changes nothing: what it loads into the kernel is attached to nothing, and goes. Nothing fails:
// what cannot be found out is a check that says so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "status/check.h"

namespace msp::agent {

std::vector<status::Check> check_machine(const std::optional<std::string>& config_path);

}  // namespace msp::agent
