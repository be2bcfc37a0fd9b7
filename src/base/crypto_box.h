// SPDX-License-Identifier: Apache-2.0
// Sealing for somebody else: with his public key, so that nobody but the holder of the private one opens it (X25519,
// HMAC-SHA256 as key derivation, then seal() of base/crypto.h). Says nothing about who sealed.
// Pure functions; any thread.
// Errors never quote keys or plain text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"
#include "base/secret.h"

namespace msp {

inline constexpr std::size_t kBoxKeySize = 32;
using BoxPublicKey = std::array<std::uint8_t, kBoxKeySize>;

/// Of any 32 random bytes as private key.
Result<BoxPublicKey> box_public_key(const Secret& private_key);

/// The public half of a key made for this one box, then what seal() makes. `context` as there.
Result<std::vector<std::uint8_t>> box_seal(const BoxPublicKey& to, Bytes plain, Bytes context);
/// Fails if the private key, the context or a byte of `sealed` is another.
Result<Secret> box_open(const Secret& private_key, Bytes sealed, Bytes context);

}  // namespace msp
