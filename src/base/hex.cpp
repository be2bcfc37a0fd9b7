// SPDX-License-Identifier: Apache-2.0
#include "base/crypto.h"

#include <array>
#include <string_view>

namespace msp {
namespace {

/// Both digits of each byte.
constexpr auto kPairs = [] {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    pairs[byte] = {kDigits[byte >> 4U], kDigits[byte & 0x0FU]};
  }
  return pairs;
}();

/// Of each byte 0 to 15, or -1.
constexpr auto kValues = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  std::int8_t value = 0;
  for (const char c : std::string_view("0123456789abcdef")) {
    values[static_cast<unsigned char>(c)] = value++;
  }
  for (const char c : std::string_view("ABCDEF")) {
    values[static_cast<unsigned char>(c)] = values[static_cast<unsigned char>(c | 0x20)];
  }
  return values;
}();

int value_of(char c) { return kValues[static_cast<std::uint8_t>(c)]; }

}  // namespace

void hex_encode_to(Bytes data, char* out) {
  for (const std::uint8_t byte : data) {
    *out++ = kPairs[byte][0];
    *out++ = kPairs[byte][1];
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
  int all = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int byte = value_of(text[2 * i]) * 16 | value_of(text[2 * i + 1]);
    all |= byte;  // negative for good once one is
    out[i] = static_cast<std::uint8_t>(byte);
  }
  return all >= 0;
}

std::optional<std::vector<std::uint8_t>> hex_decode(std::string_view text) {
  std::vector<std::uint8_t> out(text.size() / 2);
  if (!hex_decode_to(text, out)) {
    return std::nullopt;
  }
  return out;
}

}  // namespace msp
