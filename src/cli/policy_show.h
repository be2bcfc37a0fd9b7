// SPDX-License-Identifier: Apache-2.0
// `mspctl policy show`: the rules in force, as the agent that runs has them, in a form that every other verb reads.
// Called by policy_command; single-threaded.
// Ends with 0, or 2 where no agent answers or none are in force yet.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_show(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
