// SPDX-License-Identifier: Apache-2.0
// Runs another program to its end: what setup needs of systemctl and of package managers.
// Blocks; never on a thread with a loop. No shell, no search along PATH.
// A program that is not there or dies by a signal is an Error of the kernel (ENOENT where it is missing).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace msp::agent {

enum class Output : std::uint8_t { kShown, kDropped };

/// The first word is its absolute path. Returns its exit code.
Result<int> run_program(const std::vector<std::string>& words, Output output = Output::kShown);

}  // namespace msp::agent
