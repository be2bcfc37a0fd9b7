// SPDX-License-Identifier: Apache-2.0
// `mspctl policy diff`: who may ask for what under one version of rules and not under another.
// Called by policy_command; single-threaded.
// Ends with 0 no difference, 1 differences, 2 unusable input.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_diff(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
