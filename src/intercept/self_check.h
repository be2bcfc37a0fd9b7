// SPDX-License-Identifier: Apache-2.0
// Proves at start that a connection to our listener yields a record: hooks, cgroup and storage all work together.
// Called once by the control thread before the listener is given to the data loop; waits at most a second.
// On failure the agent must not serve: without records every caller is unknown.
#pragma once

#include <vector>

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"
#include "identity/source.h"

namespace msp::intercept {

/// Connects to `at`, accepts from `listener` (listening there) and compares the record with this process.
/// Returns connections of others that were taken from the queue meanwhile: they are to be served.
Result<std::vector<Fd>> self_check(const Fd& listener, const Ipv4Endpoint& at, identity::IdentitySource& source);

}  // namespace msp::intercept
