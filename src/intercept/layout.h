// SPDX-License-Identifier: Apache-2.0
// The contract between two programs that take hooks over from each other, written out from the compiled kernel
// programs: maps, the structures in them to the last member, attach points. A test compares it with bpf/layouts/.
// Stateless; any thread; no privileges.
// Fails only where the kernel programs cannot be read, which is a bug.
#pragma once

#include <string>

#include "base/result.h"

namespace msp::intercept {

/// A line a thing, in a fixed order.
Result<std::string> contract_layout();

}  // namespace msp::intercept
