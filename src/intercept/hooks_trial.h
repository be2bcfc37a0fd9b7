// SPDX-License-Identifier: Apache-2.0
// Whether this kernel takes the programs: asked by loading them (design: never by version), without attaching one.
// Main thread of a command; maps and programs are gone when it returns, and nothing of a running agent is touched.
// An Error has the kernel's words and the remedy: no privilege, no BTF.
#pragma once

#include "base/result.h"

namespace msp::intercept {

struct Trial {
  bool executables = false;  ///< the program that tells which file an executable is was taken, too
};
Result<Trial> try_programs();

}  // namespace msp::intercept
