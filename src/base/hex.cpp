// SPDX-License-Identifier: Apache-2.0
#include "base/crypto.h"

namespace msp {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

/// 0 to 15, or -1.
int digit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

void hex_encode_to(Bytes data, char* out) {
  for (const std::uint8_t byte : data) {
    *out++ = kDigits[byte >> 4];
    *out++ = kDigits[byte & 0x0F];
  }
}

std::string hex_encode(Bytes data) {
  std::string out(data.size() * 2, '\0');
  hex_encode_to(data, out.data());
  return out;
}

bool hex_decode_to(std::string_view text, std::span<std::uint8_t> out) {
  if (text.size() != out.size() * 2) {
    return false;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = digit(text[2 * i]);
    const int low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) {
      return false;
    }
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

std::optional<std::vector<std::uint8_t>> hex_decode(std::string_view text) {
  std::vector<std::uint8_t> out(text.size() / 2);
  if (!hex_decode_to(text, out)) {
    return std::nullopt;
  }
  return out;
}

}  // namespace msp
