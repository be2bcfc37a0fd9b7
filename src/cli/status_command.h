// SPDX-License-Identifier: Apache-2.0
// `mspctl status`: what protects this machine.
// Called by cli::run; single-threaded.
// Ends with 0 protected, 1 not fully, 2 cannot tell (agent not running, not root, bad options).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int status_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
