// SPDX-License-Identifier: Apache-2.0
// Asks the running agent over its control socket.
// Blocks its caller until the answer or the deadline; single-threaded.
// Errors keep the errno of the connect: ENOENT or ECONNREFUSED, nobody is there; EACCES, not root.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::cli {

/// Body of a 200; any other answer is an error with the agent's own words.
Result<std::string> ask_agent(const std::string& socket_path, std::string_view target);

}  // namespace msp::cli
