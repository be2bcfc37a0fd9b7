// SPDX-License-Identifier: Apache-2.0
// Texts eight bytes at a time, and texts written through a bare pointer: for the few loops that every request runs
// through. Pure functions; any thread; any bytes. The caller sees to it that there is room, or that there are eight
// bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace msp {

inline constexpr std::size_t kWordSize = sizeof(std::uint64_t);

/// A word of eight times this byte.
constexpr std::uint64_t each_byte(std::uint8_t byte) { return 0x0101010101010101U * byte; }

/// Eight bytes of a text that has them from `at` on.
inline std::uint64_t load_word(std::string_view text, std::size_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, text.data() + at, kWordSize);
  return word;
}

/// True if `test` holds for every eight bytes of a text of at least eight; the last ones may overlap.
template <class Test>
bool every_word(std::string_view text, Test test) {
  bool good = test(load_word(text, text.size() - kWordSize));
  for (std::size_t i = 0; i + kWordSize < text.size(); i += kWordSize) {
    good &= test(load_word(text, i));
  }
  return good;
}

/// Copies the text and returns the place behind it.
inline char* put_text(char* to, std::string_view text) {
  if (!text.empty()) {
    std::memcpy(to, text.data(), text.size());
  }
  return to + text.size();
}

}  // namespace msp
