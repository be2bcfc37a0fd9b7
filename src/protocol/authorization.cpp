// SPDX-License-Identifier: Apache-2.0
#include "protocol/authorization.h"

#include <array>

namespace msp::protocol {

void format_authorization(std::string_view guid, const Sha256Digest& signature, std::string& out) {
  std::array<char, kSignatureDigits> digits;
  hex_encode_to(signature, digits.data());
  out.assign(kScheme);
  out += ' ';
  out += guid;
  out += ' ';
  out.append(digits.data(), digits.size());
}

std::optional<Authorization> parse_authorization(std::string_view value) {
  constexpr std::size_t kGuidAt = kScheme.size() + 1;
  constexpr std::size_t kSignatureAt = kGuidAt + kGuidSize + 1;
  if (value.size() != kAuthorizationSize || !value.starts_with(kScheme) || value[kGuidAt - 1] != ' ' ||
      value[kSignatureAt - 1] != ' ') {
    return std::nullopt;
  }
  Authorization out;
  out.guid = value.substr(kGuidAt, kGuidSize);
  const std::string_view digits = value.substr(kSignatureAt);
  if (!is_lower_guid(out.guid) || has_upper_digit(digits) || !hex_decode_to(digits, out.signature)) {
    return std::nullopt;
  }
  return out;
}

}  // namespace msp::protocol
