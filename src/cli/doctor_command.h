// SPDX-License-Identifier: Apache-2.0
// `mspctl doctor`: everything that must hold in a guest, one check after the other, each with its remedy.
// Called by cli::run; single-threaded, blocks. Asks the agent that runs, and its program about the machine.
// Ends with 0 all is well, 1 warnings, 2 failures (also: an agent that does not run, a program that is not there).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "base/json.h"
#include "status/check.h"

namespace msp::cli {

int doctor_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

/// What the agent's own status says, area by area (docs/status.md).
std::vector<status::Check> checks_of_status(const json::Value& status);

}  // namespace msp::cli
