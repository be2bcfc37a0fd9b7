// SPDX-License-Identifier: Apache-2.0
// Pieces of a JSON answer as text for people. Pure functions; any thread.
// Texts are escaped; what is missing shows as a dash, or as an empty list.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace msp::cli {

/// The value at a JSON pointer; missing or null: "-".
std::string leaf(const json::Value& of, std::string_view pointer);
/// The elements of a member that is an array.
const json::Array& items(const json::Value& of, std::string_view name);

}  // namespace msp::cli
