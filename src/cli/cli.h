// SPDX-License-Identifier: Apache-2.0
// mspctl: picks the verb and runs it.
// Called once by main; single-threaded.
// Exit codes are the verb's; unknown verbs and options print what is possible and end with kExitCannotTell;
// so does every verb whose output could not be written.
#pragma once

#include <iosfwd>
#include <span>
#include <string>
#include <vector>

namespace msp::cli {

inline constexpr int kExitProtected = 0;
inline constexpr int kExitNotFully = 1;
inline constexpr int kExitCannotTell = 2;

/// `arguments` without the program's name.
int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
