// SPDX-License-Identifier: Apache-2.0
// Bytes of RFC 9110 tokens, and looks at eight bytes of a field at a time. Pure functions; any thread; any bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/text_bytes.h"

namespace msp::http {

namespace detail {
inline constexpr std::uint64_t kHigh = each_byte(0x80);

/// Every byte is a to z or '-'.
inline bool all_lower_or_dash(std::uint64_t word) {
  // A byte is a letter if it is neither below 'a' nor above 'z'. No sum leaves its byte.
  const std::uint64_t other = word ^ each_byte('-');
  const std::uint64_t dash = ~(((other & ~kHigh) + ~kHigh) | other) & kHigh;
  const std::uint64_t low = word & ~kHigh;
  const std::uint64_t letter = (low + each_byte(0x80 - 'a')) & ~(low + each_byte(0x80 - 'z' - 1)) & ~word & kHigh;
  return (dash | letter) == kHigh;
}
}  // namespace detail

/// The byte in lower case if it may stand in a token, otherwise 0.
inline constexpr std::array<char, 256> kLowerToken = [] {
  std::array<char, 256> table{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")) {
    table[static_cast<unsigned char>(c)] = c;
  }
  for (char c = 'A'; c <= 'Z'; ++c) {
    table[static_cast<unsigned char>(c)] = static_cast<char>(c | 0x20);
  }
  return table;
}();

inline bool is_token_byte(char c) { return kLowerToken[static_cast<unsigned char>(c)] != 0; }

/// Writes `name` in lower case to `out`, which has room for it. False if it is empty or no token.
inline bool write_lower_token(char* out, std::string_view name) {
  bool good = !name.empty();
  // Most names are in lower case already, letters and dashes.
  while (name.size() >= kWordSize) {
    const std::uint64_t word = load_word(name, 0);
    if (!detail::all_lower_or_dash(word)) {
      break;
    }
    std::memcpy(out, &word, kWordSize);
    out += kWordSize;
    name.remove_prefix(kWordSize);
  }
  for (const char c : name) {
    const char lower = kLowerToken[static_cast<unsigned char>(c)];
    good &= lower != 0;
    *out++ = lower;
  }
  return good;
}

/// Printable ASCII only; false also for a tab, which is rare.
inline bool all_visible(std::uint64_t word) {
  // Per byte: the high bit is set in the byte itself (above 0x7F), after minus 0x20 (control), or after plus one (DEL).
  return ((word | (word - each_byte(0x20)) | (word + each_byte(1))) & detail::kHigh) == 0;
}

/// No byte below 0x20.
inline bool no_control(std::uint64_t word) { return ((word - each_byte(0x20)) & ~word & detail::kHigh) == 0; }

/// No CR, LF or NUL.
inline bool is_one_line(std::string_view text) {
  if (text.size() >= kWordSize && every_word(text, no_control)) {
    return true;
  }
  unsigned bad = 0;
  for (const char c : text) {
    bad |= static_cast<unsigned>((c == '\r') | (c == '\n') | (c == '\0'));
  }
  return bad == 0;
}

}  // namespace msp::http
