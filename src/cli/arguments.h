// SPDX-License-Identifier: Apache-2.0
// How every verb reads its arguments, and how the verb is found among them.
// Called once by a verb, or by who looks for one; single-threaded.
// What is no use of the verb, or asks for its help, is thrown as the library's CLI::ParseError.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace msp::cli {

/// Where the verb stands: options that say where to ask (--config, --socket; their value behind a blank or "=") may
/// stand before it. The size of `arguments`: there is none.
std::size_t place_of_verb(const std::vector<std::string>& arguments);
/// All but the verb that stands there.
std::vector<std::string> without_verb(const std::vector<std::string>& arguments, std::size_t place);

/// A flag has no value: "--lossy=false" is an error.
void parse_arguments(CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace msp::cli
