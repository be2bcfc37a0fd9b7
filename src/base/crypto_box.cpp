// SPDX-License-Identifier: Apache-2.0
#include "base/crypto_box.h"

#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "base/crypto_deleter.h"

namespace msp {
namespace {

constexpr std::string_view kLabel = "openmsp box 1";

using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Deleter<EVP_PKEY_CTX_free>>;

Error box_error(const char* what) {
  return Error{.source = Source::kBug, .message = std::string("crypto library: ") + what, .hint = {}, .code = 0};
}

Error cannot_open() {
  return Error{.source = Source::kConfig,
               .message = "a box cannot be opened: it was changed, or sealed for another recipient",
               .hint = {},
               .code = 0};
}

/// What both ends of one box know and nobody else: the key that seals it. Both public halves are in it.
Result<Secret> shared_key(EVP_PKEY* mine, EVP_PKEY* theirs, Bytes made_for_this, Bytes recipient) {
  const KeyContext context(EVP_PKEY_CTX_new(mine, nullptr));
  Secret shared(kBoxKeySize);
  std::size_t size = shared.size();
  // The library refuses a public key that makes every secret the same one.
  if (!context || EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_derive_set_peer(context.get(), theirs) != 1 ||
      EVP_PKEY_derive(context.get(), shared.writable().data(), &size) != 1 || size != kBoxKeySize) {
    return cannot_open();
  }
  auto mac = HmacSha256::create(shared);
  if (!mac) {
    return std::move(mac).error();
  }
  mac->start();
  mac->update(kLabel);
  for (const Bytes half : {made_for_this, recipient}) {
    mac->update({reinterpret_cast<const char*>(half.data()), half.size()});
  }
  auto digest = mac->finish();
  if (!digest) {
    return std::move(digest).error();
  }
  Secret key = Secret::copy_of(Bytes(*digest));
  std::ranges::fill(*digest, std::uint8_t{0});
  return key;
}

Key private_half(const Secret& bytes) {
  return Key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, bytes.bytes().data(), bytes.size()));
}

Key public_half(Bytes bytes) {
  return Key(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, bytes.data(), bytes.size()));
}

}  // namespace

Result<BoxPublicKey> box_public_key(const Secret& private_key) {
  const Key key = private_half(private_key);
  BoxPublicKey out{};
  std::size_t size = out.size();
  if (!key || EVP_PKEY_get_raw_public_key(key.get(), out.data(), &size) != 1 || size != out.size()) {
    return box_error("no public key");
  }
  return out;
}

Result<std::vector<std::uint8_t>> box_seal(const BoxPublicKey& to, Bytes plain, Bytes context) {
  auto once = random_secret(kBoxKeySize);
  if (!once) {
    return std::move(once).error();
  }
  auto half = box_public_key(*once);
  if (!half) {
    return std::move(half).error();
  }
  const Key mine = private_half(*once);
  const Key theirs = public_half(to);
  if (!mine || !theirs) {
    return box_error("no key");
  }
  auto key = shared_key(mine.get(), theirs.get(), *half, to);
  if (!key) {
    Error error = std::move(key).error();
    if (error.source == Source::kConfig) {
      error.message = "the recipient is no public key for which anything can be sealed";
    }
    return error;
  }
  auto sealed = seal(*key, plain, context);
  if (sealed) {
    sealed->insert(sealed->begin(), half->begin(), half->end());
  }
  return sealed;
}

Result<Secret> box_open(const Secret& private_key, Bytes sealed, Bytes context) {
  if (sealed.size() < kBoxKeySize) {
    return cannot_open();
  }
  auto recipient = box_public_key(private_key);
  if (!recipient) {
    return std::move(recipient).error();
  }
  const Bytes half = sealed.first(kBoxKeySize);
  const Key mine = private_half(private_key);
  const Key theirs = public_half(half);
  if (!mine || !theirs) {
    return cannot_open();
  }
  auto key = shared_key(mine.get(), theirs.get(), half, *recipient);
  if (!key) {
    return std::move(key).error();
  }
  auto opened = unseal(*key, sealed.subspan(kBoxKeySize), context);
  return opened ? std::move(opened) : Result<Secret>(cannot_open());
}

}  // namespace msp
