// SPDX-License-Identifier: Apache-2.0
// What msp-host reads and writes where, and which two of these collide: what is written there would destroy what else
// is there.
// Pure function; any thread. Paths are compared as base/collisions.h says.
// What collides is the reader's problem, at the field.
#pragma once

#include <string>

#include "base/json_fields.h"
#include "gateway/config.h"

namespace msp::gateway {

/// `root` is what `config` was read from; `own_path` the configuration file's, absolute.
void find_collisions(json::ObjectReader& root, const Config& config, const std::string& own_path);

}  // namespace msp::gateway
