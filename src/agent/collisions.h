// SPDX-License-Identifier: Apache-2.0
// What the agent writes where, and which two of these collide: what is written there would destroy what else is there.
// Pure function; any thread. Paths are compared as base/collisions.h says.
// What collides is the reader's problem, at the field.
#pragma once

#include <string>

#include "agent/config.h"
#include "base/json_fields.h"

namespace msp::agent {

/// `config` was read from `top`, which has the field's own fields, and `ours`, its object `openmsp`. `own_path`: the
/// configuration file's; empty: none.
void find_collisions(json::ObjectReader& top, json::ObjectReader& ours, const Config& config,
                     const std::string& own_path);

}  // namespace msp::agent
