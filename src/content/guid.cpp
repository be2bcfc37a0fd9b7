// SPDX-License-Identifier: Apache-2.0
#include "content/guid.h"

#include <fmt/format.h>

#include "base/crypto.h"

namespace msp::content {
namespace {

Sha256Digest digest_of(std::string_view text) {
  const auto digest = sha256(as_bytes(text));
  return digest ? *digest : Sha256Digest{};
}

}  // namespace

std::string guid_of(std::string_view text) {
  const std::string hex = hex_encode(Bytes(digest_of(text)).first(16));
  return fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                     hex.substr(20, 12));
}

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  for (const std::uint8_t byte : Bytes(digest_of(text)).first(sizeof(number))) {
    number = number << 8 | byte;
  }
  return number;
}

}  // namespace msp::content
