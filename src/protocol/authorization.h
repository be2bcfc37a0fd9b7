// SPDX-License-Identifier: Apache-2.0
// The value of the authorization header: "Azure-HMAC-SHA256 <guid> <signature>" (protocol.md D.7).
// Values; any thread.
// Parsing takes exactly this form in lower case (C.7.8); its input comes from whoever reaches the host.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "protocol/guid.h"
#include "protocol/headers.h"

namespace msp::protocol {

inline constexpr std::size_t kSignatureDigits = 2 * kSha256Size;
inline constexpr std::size_t kAuthorizationSize = kScheme.size() + 1 + kGuidSize + 1 + kSignatureDigits;

struct Authorization {
  std::string_view guid;  ///< into the parsed text
  Sha256Digest signature{};
};

/// Replaces `out`; the guid is copied literally, the signature is written as 64 lower-case hex digits.
void format_authorization(std::string_view guid, const Sha256Digest& signature, std::string& out);

/// None unless scheme, single blanks, lower-case guid and 64 lower-case digits are all there and nothing else is.
std::optional<Authorization> parse_authorization(std::string_view value);

}  // namespace msp::protocol
