// SPDX-License-Identifier: Apache-2.0
// `mspctl policy convert`: rules in another form.
// Called by policy_command; single-threaded. The document goes to stdout, what changed on the way to stderr.
// Ends with 0 written, 2 unusable input: also rules of which something would be lost, without --lossy.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_convert(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
