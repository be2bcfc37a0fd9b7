// SPDX-License-Identifier: Apache-2.0
// Letter case of identifiers that are ASCII: resource ids, names of headers and units.
// Pure functions; any thread; any bytes, those above 0x7F stay as they are.
// Never fails.
#pragma once

#include <string>
#include <string_view>

namespace msp {

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; }

inline std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = ascii_lower(c);
  }
  return out;
}
inline std::string ascii_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = ascii_upper(c);
  }
  return out;
}

}  // namespace msp
