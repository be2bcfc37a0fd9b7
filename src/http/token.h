// SPDX-License-Identifier: Apache-2.0
// Bytes of RFC 9110 tokens, and looks at eight bytes of a field at a time. Pure functions; any thread; any bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace msp::http {

namespace detail {
inline constexpr std::uint64_t kOnes = 0x0101010101010101U;
inline constexpr std::uint64_t kHigh = kOnes * 0x80U;

/// Eight bytes of a text that has them from `at` on.
inline std::uint64_t load_word(std::string_view text, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, text.data() + at, sizeof(word));
  return word;
}

/// Every byte is a to z or '-'.
inline bool all_lower_or_dash(std::uint64_t word) {
  // Dashes count as 'a'; then a byte is a letter if it is neither below 'a' nor above 'z'. No sum leaves its byte.
  const std::uint64_t other = word ^ (kOnes * '-');
  const std::uint64_t dash = ~(((other & ~kHigh) + ~kHigh) | other) & kHigh;
  const std::uint64_t low = word & ~kHigh;
  const std::uint64_t letter = (low + kOnes * (0x80U - 'a')) & ~(low + kOnes * (0x80U - 'z' - 1)) & ~word & kHigh;
  return (dash | letter) == kHigh;
}

/// True if `test` holds for every eight bytes of a text of at least eight; the last ones may overlap.
template <class Test>
bool every_word(std::string_view text, Test test) {
  constexpr std::size_t kWord = sizeof(std::uint64_t);
  bool good = test(load_word(text, text.size() - kWord));
  for (std::size_t i = 0; i + kWord < text.size(); i += kWord) {
    good &= test(load_word(text, i));
  }
  return good;
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
  while (name.size() >= sizeof(std::uint64_t)) {
    const std::uint64_t word = detail::load_word(name, 0);
    if (!detail::all_lower_or_dash(word)) {
      break;
    }
    std::memcpy(out, &word, sizeof(word));
    out += sizeof(word);
    name.remove_prefix(sizeof(word));
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
  return ((word | (word - detail::kOnes * 0x20U) | (word + detail::kOnes)) & detail::kHigh) == 0;
}

/// No byte below 0x20.
inline bool no_control(std::uint64_t word) { return ((word - detail::kOnes * 0x20U) & ~word & detail::kHigh) == 0; }

/// No CR, LF or NUL.
inline bool is_one_line(std::string_view text) {
  if (text.size() >= sizeof(std::uint64_t) && detail::every_word(text, no_control)) {
    return true;
  }
  unsigned bad = 0;
  for (const char c : text) {
    bad |= static_cast<unsigned>((c == '\r') | (c == '\n') | (c == '\0'));
  }
  return bad == 0;
}

}  // namespace msp::http
