// SPDX-License-Identifier: Apache-2.0
// `mspctl policy simulate`: what rules would do to many requests, and what changes from one version to another.
// Called by policy_command; single-threaded, reads its input as a stream.
// Ends with 0, 1 something changes, 2 unusable input: also if not one line of the requests can be used.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_simulate(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
