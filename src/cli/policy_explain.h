// SPDX-License-Identifier: Apache-2.0
// `mspctl policy explain`: what is decided about one request, and why.
// Called by policy_command; single-threaded.
// Ends with 0 the request passes (in mode audit, too), 1 it is refused, 2 unusable input.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_explain(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
