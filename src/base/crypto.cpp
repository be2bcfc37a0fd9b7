// SPDX-License-Identifier: Apache-2.0
#include "base/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/random.h>

#include <cerrno>

#include "base/crypto_deleter.h"

namespace msp {
namespace {

constexpr std::size_t kNonceSize = 12;
constexpr std::size_t kTagSize = 16;
constexpr std::size_t kAesKeySize = 32;
constexpr std::size_t kMaxSealed = std::size_t{1} << 30;  // the library counts in int

using Mac = std::unique_ptr<EVP_MAC, Deleter<EVP_MAC_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Deleter<EVP_MAC_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Deleter<EVP_CIPHER_CTX_free>>;

Error library_error(const char* what) {
  return Error{.source = Source::kBug, .message = std::string("crypto library: ") + what, .hint = {}, .code = 0};
}

const unsigned char* raw(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

/// Keys cipher context and nonce of one seal or unseal.
bool begin(EVP_CIPHER_CTX* c, bool encrypt, const Secret& key, const std::uint8_t* nonce, Bytes context) {
  int moved = 0;
  return EVP_CipherInit_ex(c, EVP_aes_256_gcm(), nullptr, key.bytes().data(), nonce, encrypt ? 1 : 0) == 1 &&
         (context.empty() ||
          EVP_CipherUpdate(c, nullptr, &moved, context.data(), static_cast<int>(context.size())) == 1);
}

Result<CipherContext> cipher_for(const Secret& key, std::size_t size, Bytes context) {
  if (key.size() != kAesKeySize) {
    return bug("a sealing key must have 32 bytes");
  }
  if (size > kMaxSealed || context.size() > kMaxSealed) {
    return bug("too much to seal at once");
  }
  CipherContext c(EVP_CIPHER_CTX_new());
  if (!c) {
    return library_error("no cipher context");
  }
  return c;
}

}  // namespace

struct HmacSha256::Context {
  MacContext mac;
  bool good = false;
};

HmacSha256::HmacSha256(std::unique_ptr<Context> context) : context_(std::move(context)) {}
HmacSha256::HmacSha256(HmacSha256&&) noexcept = default;
HmacSha256& HmacSha256::operator=(HmacSha256&&) noexcept = default;
HmacSha256::~HmacSha256() = default;

Result<HmacSha256> HmacSha256::create(Bytes key) {
  if (key.empty()) {
    return bug("an HMAC key must not be empty");
  }
  const Mac mac(EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr));
  if (!mac) {
    return library_error("no HMAC");
  }
  auto context = std::make_unique<Context>();
  context->mac.reset(EVP_MAC_CTX_new(mac.get()));
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                   OSSL_PARAM_construct_end()};
  if (!context->mac || EVP_MAC_init(context->mac.get(), key.data(), key.size(), parameters) != 1) {
    return library_error("HMAC-SHA256 cannot be keyed");
  }
  return HmacSha256(std::move(context));
}

void HmacSha256::start() {
  // Starting again without a key keeps the inner and outer states computed once: the fastest way measured.
  context_->good = EVP_MAC_init(context_->mac.get(), nullptr, 0, nullptr) == 1;
}

void HmacSha256::update(std::string_view piece) {
  context_->good = context_->good && EVP_MAC_update(context_->mac.get(), raw(piece), piece.size()) == 1;
}

Result<Sha256Digest> HmacSha256::finish() {
  Sha256Digest out{};
  std::size_t size = 0;
  if (!context_->good || EVP_MAC_final(context_->mac.get(), out.data(), &size, out.size()) != 1 || size != out.size()) {
    context_->good = false;
    return library_error("HMAC failed");
  }
  context_->good = false;
  return out;
}

Result<Sha256Digest> HmacSha256::sign(std::string_view message) {
  start();
  update(message);
  return finish();
}

Result<Sha256Digest> sha256(Bytes data) {
  Sha256Digest out{};
  if (EVP_Digest(data.data(), data.size(), out.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    return library_error("SHA-256 failed");
  }
  return out;
}

bool constant_time_equal(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
}

Result<void> random_bytes(std::span<std::uint8_t> out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return errno_error("getrandom");
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

Result<Secret> random_secret(std::size_t size) {
  Secret out(size);
  if (auto filled = random_bytes(out.writable()); !filled) {
    return std::move(filled).error();
  }
  return out;
}

Result<std::string> random_guid() {
  std::array<std::uint8_t, 16> bytes{};
  if (auto filled = random_bytes(bytes); !filled) {
    return std::move(filled).error();
  }
  bytes[6] = static_cast<std::uint8_t>((bytes[6] & 0x0F) | 0x40);  // version 4
  bytes[8] = static_cast<std::uint8_t>((bytes[8] & 0x3F) | 0x80);  // variant of RFC 4122
  std::string out = hex_encode(bytes);
  for (const std::size_t dash : {20, 16, 12, 8}) {
    out.insert(dash, 1, '-');
  }
  return out;
}

std::string base64_encode(Bytes data) {
  if (data.empty()) {
    return {};
  }
  std::string out((data.size() + 2) / 3 * 4 + 1, '\0');  // the library ends it with a NUL
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), data.data(), static_cast<int>(data.size()));
  out.pop_back();
  return out;
}

std::optional<std::vector<std::uint8_t>> base64_decode(std::string_view text) {
  if (text.empty()) {
    return std::vector<std::uint8_t>{};
  }
  if (text.size() % 4 != 0 || text.size() > kMaxSealed) {
    return std::nullopt;
  }
  std::vector<std::uint8_t> out(text.size() / 4 * 3);
  if (EVP_DecodeBlock(out.data(), raw(text), static_cast<int>(text.size())) < 0) {
    return std::nullopt;
  }
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  out.resize(out.size() - padding);
  // The library skips blanks and takes padding and stray bits anywhere: only what encodes back is accepted.
  if (base64_encode(out) != text) {
    return std::nullopt;
  }
  return out;
}

Result<std::vector<std::uint8_t>> seal(const Secret& key, Bytes plain, Bytes context) {
  auto cipher = cipher_for(key, plain.size(), context);
  if (!cipher) {
    return std::move(cipher).error();
  }
  std::vector<std::uint8_t> out(kNonceSize + plain.size() + kTagSize);
  if (auto filled = random_bytes(std::span(out).first(kNonceSize)); !filled) {
    return std::move(filled).error();
  }
  EVP_CIPHER_CTX* c = cipher->get();
  std::uint8_t* text = out.data() + kNonceSize;
  int moved = 0;
  if (!begin(c, true, key, out.data(), context) ||
      (!plain.empty() && EVP_CipherUpdate(c, text, &moved, plain.data(), static_cast<int>(plain.size())) != 1) ||
      EVP_CipherFinal_ex(c, text + moved, &moved) != 1 ||
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, kTagSize, text + plain.size()) != 1) {
    return library_error("sealing failed");
  }
  return out;
}

Result<Secret> unseal(const Secret& key, Bytes sealed, Bytes context) {
  const Error refused{.source = Source::kConfig,
                      .message = "a sealed value cannot be opened: it was changed, moved, or sealed under another key",
                      .hint = {},
                      .code = 0};
  if (sealed.size() < kNonceSize + kTagSize) {
    return refused;
  }
  auto cipher = cipher_for(key, sealed.size(), context);
  if (!cipher) {
    return std::move(cipher).error();
  }
  EVP_CIPHER_CTX* c = cipher->get();
  const Bytes text = sealed.subspan(kNonceSize, sealed.size() - kNonceSize - kTagSize);
  std::array<std::uint8_t, kTagSize> tag{};
  std::copy(sealed.end() - kTagSize, sealed.end(), tag.begin());
  Secret out(text.size());
  std::uint8_t none = 0;
  std::uint8_t* to = text.empty() ? &none : out.writable().data();
  int moved = 0;
  if (!begin(c, false, key, sealed.data(), context) ||
      (!text.empty() && EVP_CipherUpdate(c, to, &moved, text.data(), static_cast<int>(text.size())) != 1) ||
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag.data()) != 1 ||
      EVP_CipherFinal_ex(c, to + moved, &moved) != 1) {
    return refused;
  }
  return out;
}

}  // namespace msp
