// SPDX-License-Identifier: Apache-2.0
// What msp-host reads and writes where, and which two of these collide: what is written there would destroy what else
// is there.
// Pure function; any thread. Paths are compared as base/collisions.h says.
// What collides is the reader's problem, at the field.
#pragma once

#include <string>
#include <string_view>

#include "base/json_fields.h"
#include "gateway/config.h"

namespace msp::gateway {

/// "is the address and port of tokens" (`name`), or how the two meet by 0.0.0.0; empty: both can be listened on.
std::string how_they_meet(const Ipv4Endpoint& at, std::string_view name, const Ipv4Endpoint& other);
/// The same of `at`, which is not bound to an interface, with whichever listener it meets.
std::string meets_a_listener(const Config& config, const Ipv4Endpoint& at);
/// `root` is what `config` was read from; `own_path` the configuration file's, absolute.
void find_collisions(json::ObjectReader& root, const Config& config, const std::string& own_path);

}  // namespace msp::gateway
