// SPDX-License-Identifier: Apache-2.0
// What /metadata/attested/document attests of a machine (public contract), before it is signed.
// Pure functions; any thread.
// The nonce is from a guest and checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace msp::content {

/// Up to 32 letters and digits.
bool is_nonce(std::string_view text);

/// `nonce` empty: the time takes its place.
std::string attested_text(const json::Value& instance, std::string_view nonce, std::int64_t now_seconds);

}  // namespace msp::content
