// SPDX-License-Identifier: Apache-2.0
// Certificates in the envelopes that metadata services use: PKCS#12 containers, CMS EnvelopedData (RFC 5652).
// Pure functions; any thread. A call costs up to some 100 µs: an RSA operation.
// Errors never quote keys or plain text. A certificate that came from a guest is checked before it is used.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/crypto.h"

namespace msp {

/// What a PEM file holds: one certificate and, if it has one, its private key (RSA, unencrypted).
struct CertificateFacts {
  std::string thumbprint;  ///< SHA-1 of the certificate, upper-case hex: how guests name it
  bool has_key = false;
};
/// Refused: no certificate, several of them, a key that is not its own or not RSA (guests of the field read no other).
Result<CertificateFacts> check_certificate(const Secret& pem);

/// A PKCS#12 container of these PEM texts with the empty password. It protects nothing by itself.
Result<Secret> make_pkcs12(std::span<const Secret> pems);

enum class EnvelopeCipher : std::uint8_t { kTripleDes, kAes128, kAes256 };

/// DER of CMS EnvelopedData that only the owner of the certificate can open. `certificate`: DER from a guest; refused
/// (Source::kClient) unless it holds exactly one certificate with an RSA key of 2048 to 4096 bits.
Result<std::vector<std::uint8_t>> cms_envelope(const Secret& content, Bytes certificate, EnvelopeCipher cipher);

}  // namespace msp
