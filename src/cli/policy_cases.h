// SPDX-License-Identifier: Apache-2.0
// `mspctl policy test`: the cases that an author keeps beside the rules.
// Called by policy_command; single-threaded.
// Ends with 0 all cases hold, 1 some do not, 2 unusable input.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_cases(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
