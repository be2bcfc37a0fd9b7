// SPDX-License-Identifier: Apache-2.0
// Syntax of key ids: they become part of a URL, a file name and a header, so nothing else is accepted (L.11).
// Pure functions; any thread. `random_guid` of base/crypto.h makes new ones.
// Input may come from a peer or a file name.
#pragma once

#include <cstddef>
#include <string_view>

namespace msp::protocol {

inline constexpr std::size_t kGuidSize = 36;

/// 8-4-4-4-12 hex digits of either case.
constexpr bool is_guid(std::string_view text) {
  if (text.size() != kGuidSize) {
    return false;
  }
  for (std::size_t i = 0; i < kGuidSize; ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hex) {
      return false;
    }
  }
  return true;
}

/// True if a hex digit of upper case is in it. Every request's key and signature are looked at, so without a branch.
constexpr bool has_upper_digit(std::string_view text) {
  bool found = false;
  for (const char c : text) {
    found |= c >= 'A' && c <= 'F';
  }
  return found;
}

/// The same without upper-case digits: what our host issues and compares literally (C.7.8).
constexpr bool is_lower_guid(std::string_view text) { return is_guid(text) && !has_upper_digit(text); }

}  // namespace msp::protocol
