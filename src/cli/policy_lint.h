// SPDX-License-Identifier: Apache-2.0
// `mspctl policy lint`: what an author of rules did not mean.
// Called by policy_command; single-threaded.
// Ends with 0 clean, 1 errors (with --strict: or warnings), 2 unusable input: rules that the agent would not read.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_lint(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
