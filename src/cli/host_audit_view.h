// SPDX-License-Identifier: Apache-2.0
// What a host has refused of a machine, or would, for people: whom, what, why, and what to do about it.
// A pure function from the admin API's JSON to text; any thread.
// Texts come from guests and are escaped.
#pragma once

#include <string>

#include "base/json.h"

namespace msp::cli {

std::string audit_view(const json::Value& report);

}  // namespace msp::cli
