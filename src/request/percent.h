// SPDX-License-Identifier: Apache-2.0
// One percent-decoding pass that also folds ASCII letters and tells what it met; shared by path and query.
// Pure functions; any thread.
// A malformed escape is reported, nothing is decoded twice.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/utf8.h"

namespace msp::request {

/// What a decoded text contains; a set of bits.
enum : std::uint8_t { kSawControl = 1, kSawHigh = 2, kSawQuestion = 4, kSawSlash = 8 };

struct Decoded {
  std::string_view text;
  std::uint8_t saw = 0;
  std::uint32_t slashes = 0;
  bool malformed = false;  ///< a '%' without two hex digits; `text` is then incomplete
};

struct ByteClass {
  std::array<std::uint8_t, 256> saw{};
  std::array<char, 256> fold{};
  std::array<std::int16_t, 256> hex{};  ///< value of the digit, or -1
};

constexpr ByteClass make_byte_class() {
  ByteClass out;
  for (int c = 0; c < 256; ++c) {
    const bool control = c < 0x20 || c == 0x7F;
    out.saw[c] = static_cast<std::uint8_t>((control ? kSawControl : 0) | (c >= 0x80 ? kSawHigh : 0) |
                                           (c == '?' ? kSawQuestion : 0) | (c == '/' ? kSawSlash : 0));
    out.fold[c] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    out.hex[c] = static_cast<std::int16_t>(c >= '0' && c <= '9'   ? c - '0'
                                           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                                  : -1);
  }
  return out;
}
inline constexpr ByteClass kByteClass = make_byte_class();

/// The byte that two hex digits stand for, or -1.
constexpr int hex_pair(char high, char low) {
  const int a = kByteClass.hex[static_cast<unsigned char>(high)];
  const int b = kByteClass.hex[static_cast<unsigned char>(low)];
  return a < 0 || b < 0 ? -1 : a * 16 + b;
}

/// Writes at most raw.size() bytes to `out`.
template <bool kPlusIsBlank>
Decoded decode_and_fold(std::string_view raw, char* out) {
  Decoded result;
  char* to = out;
  const std::size_t size = raw.size();
  for (std::size_t i = 0; i < size; ++i) {
    auto c = static_cast<unsigned char>(raw[i]);
    if (c == '%') {
      const int pair = size - i > 2 ? hex_pair(raw[i + 1], raw[i + 2]) : -1;
      if (pair < 0) {
        result.malformed = true;
        break;
      }
      c = static_cast<unsigned char>(pair);
      i += 2;
    } else if (kPlusIsBlank && c == '+') {
      c = ' ';
    }
    result.saw |= kByteClass.saw[c];
    result.slashes += c == '/';
    *to++ = kByteClass.fold[c];
  }
  result.text = {out, static_cast<std::size_t>(to - out)};
  return result;
}

/// Strict (RFC 3629).
inline bool is_utf8(std::string_view text) { return utf8_invalid_at(text) == std::string_view::npos; }

}  // namespace msp::request
