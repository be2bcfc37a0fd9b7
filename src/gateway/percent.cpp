// SPDX-License-Identifier: Apache-2.0
#include "gateway/percent.h"

#include "base/crypto.h"

namespace msp::gateway {

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    std::uint8_t byte = 0;
    if (!hex_decode_to(text.substr(i + 1, 2), {&byte, 1})) {
      return std::nullopt;
    }
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

}  // namespace msp::gateway
