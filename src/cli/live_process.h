// SPDX-License-Identifier: Apache-2.0
// A running process as the agent would see it if it connected now.
// Reads /proc and the system's user database, blocks; single-threaded.
// A process that is gone, or whose executable this user may not look at, is an Error with what to do.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "base/rules_document.h"
#include "identity/connection_identity.h"

namespace msp::cli {

/// Its executable is compared with each `exePath` of `item` (may be null) as a file, not as a path.
Result<identity::ConnectionIdentity> read_process(std::uint32_t pid, const RuleItem* item);

}  // namespace msp::cli
