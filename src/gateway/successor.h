// SPDX-License-Identifier: Apache-2.0
// Whether a host could take the place of one that serves: asked before that one lets go of anything.
// Loop's thread of the host that serves; blocks on the disk, and binds what is new for a moment.
// Nothing of the state changes, but for what a start makes once (signing keys); an error says what would refuse it.
#pragma once

#include "base/result.h"
#include "gateway/config.h"
#include "gateway/model_store.h"

namespace msp::gateway {

/// `next` comes after `now`, whose store is `store`.
Result<void> can_follow(const Config& now, const Config& next, HostStore& store);

}  // namespace msp::gateway
