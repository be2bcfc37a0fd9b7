// SPDX-License-Identifier: Apache-2.0
// What a resource says where it is not read, or under a name that is not known, although it was meant to close
// something; and hardware addresses of which no rule of the guard can be made.
// Pure functions of values that an operator gives; the loop's thread. ARM's own exports pass as they are.
// Each find is a problem with its pointer and with the place where it belongs.
#pragma once

#include <string>

#include "base/json.h"
#include "base/json_fields.h"
#include "gateway/model_store.h"

namespace msp::gateway {

/// Beside what reading the resource finds. Not for what was applied before: it is served as it is, and warned of.
void refuse_misplaced(const json::Value& resource, ResourceKind kind, const std::string& pointer,
                      json::Problems& problems);

}  // namespace msp::gateway
