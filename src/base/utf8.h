// SPDX-License-Identifier: Apache-2.0
// Validity of UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF).
// Pure functions over bytes of any origin; any thread.
// Never fails: what is invalid is reported or replaced.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace msp {

/// Offset of the first byte that is no UTF-8, or npos.
std::size_t utf8_invalid_at(std::string_view text);
/// Length of the valid sequence at `at` (1 to 4), 0 if there is none.
std::size_t utf8_sequence(std::string_view text, std::size_t at);
/// Each byte that is no UTF-8 becomes U+FFFD.
std::string utf8_repair(std::string_view text);
/// The longest prefix of at most `max` bytes that does not end inside a character.
std::string_view utf8_truncate(std::string_view text, std::size_t max);

}  // namespace msp
