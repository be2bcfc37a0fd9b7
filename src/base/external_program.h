// SPDX-License-Identifier: Apache-2.0
// Runs another program to its end: what setup needs of systemctl and of package managers, and doctor of msp-agent.
// Blocks; never on a thread with a loop. No shell, no search along PATH.
// A program that is not there or dies by a signal is an Error of the kernel (ENOENT where it is missing).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace msp {

enum class Output : std::uint8_t { kShown, kDropped };

/// The first word is its absolute path. Returns its exit code.
Result<int> run_program(const std::vector<std::string>& words, Output output = Output::kShown);

struct ProgramSaid {
  int exit_code = 0;
  std::string out;  ///< its standard output; its standard error is shown as it comes
};
/// The same, and what it wrote; one that writes more than `most` bytes is an Error.
Result<ProgramSaid> read_program(const std::vector<std::string>& words, std::size_t most = std::size_t{1} << 20);

}  // namespace msp
