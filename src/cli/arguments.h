// SPDX-License-Identifier: Apache-2.0
// How every verb reads its arguments.
// Called once by a verb; single-threaded.
// What is no use of the verb, or asks for its help, is thrown as the library's CLI::ParseError.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace msp::cli {

/// A flag has no value: "--lossy=false" is an error.
void parse_arguments(CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace msp::cli
