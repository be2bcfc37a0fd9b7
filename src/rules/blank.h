// SPDX-License-Identifier: Apache-2.0
// What counts as blank in ids and local rule files (protocol.md I.1, I.4): Unicode White_Space, as in the field.
// Pure functions; any thread.
// Bytes that are no UTF-8 are not blank.
#pragma once

#include <string_view>

namespace msp::rules {

std::string_view trim(std::string_view text);
inline bool is_blank(std::string_view text) { return trim(text).empty(); }

}  // namespace msp::rules
