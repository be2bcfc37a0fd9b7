// SPDX-License-Identifier: Apache-2.0
// A private key that signs JSON Web Signatures (RFC 7515, RFC 7518) and CMS SignedData (RFC 5652).
// Owned by one thread. A signature with RSA costs up to a millisecond, one with P-256 some 50 µs.
// Errors never quote the key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"

namespace msp {

enum class SignatureAlgorithm : std::uint8_t { kRs256, kEs256 };
/// "RS256", "ES256".
std::string_view to_string(SignatureAlgorithm algorithm);

/// Base64url without padding (RFC 4648 section 5).
std::string base64url_encode(Bytes data);

class SigningKey {
 public:
  /// RSA of 2048 bits, or P-256.
  static Result<SigningKey> generate(SignatureAlgorithm algorithm);
  /// PKCS#8 in PEM, as to_pem() writes it. Refused: another kind of key than `algorithm` takes, RSA below 2048 bits.
  static Result<SigningKey> from_pem(const Secret& pem, SignatureAlgorithm algorithm);
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

  Result<Secret> to_pem() const;
  SignatureAlgorithm algorithm() const { return algorithm_; }
  /// The public key's members as RFC 7638 wants them: JSON in its canonical form.
  const std::string& public_jwk() const { return jwk_; }
  /// RFC 7638: base64url of the SHA-256 of public_jwk().
  const std::string& thumbprint() const { return thumbprint_; }

  /// In the form of RFC 7518: of ES256 both numbers one after the other.
  Result<std::vector<std::uint8_t>> sign(std::string_view text) const;

 private:
  struct Key;
  SigningKey(std::unique_ptr<Key> key, SignatureAlgorithm algorithm);
  Result<void> describe();

  std::unique_ptr<Key> key_;
  SignatureAlgorithm algorithm_;
  std::string jwk_;
  std::string thumbprint_;
};

}  // namespace msp
