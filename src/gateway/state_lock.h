// SPDX-License-Identifier: Apache-2.0
// Who holds a state directory: a host that runs, or a restore. The lock is on the directory itself, so it holds also
// while the database in it is gone, and the kernel ends it with its process.
// Taken and held by whoever opens the state; any thread.
// A directory that another process holds is an error with the code EBUSY.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"

namespace msp::gateway {

/// Held for as long as the descriptor is open.
Result<Fd> hold_state_directory(const std::string& path);

}  // namespace msp::gateway
