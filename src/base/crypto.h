// SPDX-License-Identifier: Apache-2.0
// All cryptography: the only code that knows the crypto library.
// Contexts are owned by one thread; functions may be called by any.
// Errors never quote keys, signatures or plain text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace msp {

inline constexpr std::size_t kSha256Size = 32;
using Sha256Digest = std::array<std::uint8_t, kSha256Size>;
using Bytes = std::span<const std::uint8_t>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// HMAC-SHA256 with one key (any length from 1): keyed once, used for many messages, one after the other.
class HmacSha256 {
 public:
  static Result<HmacSha256> create(Bytes key);
  static Result<HmacSha256> create(const Secret& key) { return create(key.bytes()); }
  HmacSha256(HmacSha256&&) noexcept;
  HmacSha256& operator=(HmacSha256&&) noexcept;
  ~HmacSha256();

  /// Begins a message; what was begun before is forgotten.
  void start();
  void update(std::string_view piece);
  /// Ends the message. Fails if the library failed at any step since start().
  Result<Sha256Digest> finish();

  Result<Sha256Digest> sign(std::string_view message);

 private:
  struct Context;
  explicit HmacSha256(std::unique_ptr<Context> context);
  std::unique_ptr<Context> context_;
};

Result<Sha256Digest> sha256(Bytes data);

/// Same size and same bytes; the time depends on the size only.
bool constant_time_equal(Bytes a, Bytes b);

/// From the kernel; waits until its generator is seeded.
Result<void> random_bytes(std::span<std::uint8_t> out);
Result<Secret> random_secret(std::size_t size);
/// Random GUID (version 4), lower case: xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx.
Result<std::string> random_guid();

/// Lower case.
std::string hex_encode(Bytes data);
/// `out` has room for two digits a byte.
void hex_encode_to(Bytes data, char* out);
/// Either case. False: odd length, another character, or not exactly out.size() bytes.
bool hex_decode_to(std::string_view text, std::span<std::uint8_t> out);
std::optional<std::vector<std::uint8_t>> hex_decode(std::string_view text);

/// RFC 4648 with padding.
std::string base64_encode(Bytes data);
/// Strict: padding needed, no blanks, no other characters, unused bits zero.
std::optional<std::vector<std::uint8_t>> base64_decode(std::string_view text);

/// AES-256-GCM under a 32-byte key: nonce (12 random bytes), cipher text, tag (16). `context` is authenticated, not
/// stored: what the sealed value belongs to. At most 2^32 seals a key.
Result<std::vector<std::uint8_t>> seal(const Secret& key, Bytes plain, Bytes context);
/// Fails if key, context or a byte of `sealed` is another.
Result<Secret> unseal(const Secret& key, Bytes sealed, Bytes context);

}  // namespace msp
