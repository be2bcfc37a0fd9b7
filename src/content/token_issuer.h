// SPDX-License-Identifier: Apache-2.0
// Signs access tokens of managed identities, and says how others verify them (OpenID Connect Discovery, RFC 7517).
// Owned by the host; loop's thread.
// Making a token fails only if the crypto library does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/crypto_sign.h"
#include "base/result.h"
#include "content/identities.h"

namespace msp::content {

struct Token {
  std::string text;             ///< JWT, compact
  std::int64_t not_before = 0;  ///< seconds since 1970, as the next
  std::int64_t expires = 0;
};

class TokenIssuer {
 public:
  /// `issuer`: URL without a slash at its end, under which the two documents below are found.
  TokenIssuer(SigningKey key, std::string issuer, std::int64_t lifetime_seconds);

  Result<Token> issue(const Identities& of, const Identity& who, std::string_view resource, std::string_view machine_id,
                      std::int64_t now_seconds) const;

  /// /.well-known/openid-configuration
  const std::string& discovery() const { return discovery_; }
  /// kKeysPath
  const std::string& keys() const { return keys_; }
  static constexpr std::string_view kDiscoveryPath = "/.well-known/openid-configuration";
  static constexpr std::string_view kKeysPath = "/.well-known/jwks.json";

 private:
  SigningKey key_;
  std::string issuer_;
  std::int64_t lifetime_;
  std::string header_;  ///< of every token, base64url
  std::string discovery_;
  std::string keys_;
};

}  // namespace msp::content
