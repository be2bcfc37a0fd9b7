// SPDX-License-Identifier: Apache-2.0
// `mspctl policy VERB`: tools for those who write allowlists. Picks the verb and runs it.
// Called by cli::run; single-threaded. Of its verbs only show, and explain without
// --rules, talk to an agent, which needs root.
// Ends with 0 ok, 1 findings, 2 unusable input (also: unknown verbs and options).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int policy_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
