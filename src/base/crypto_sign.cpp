// SPDX-License-Identifier: Apache-2.0
#include "base/crypto_sign.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "base/crypto_deleter.h"

namespace msp {
namespace {

constexpr unsigned int kRsaBits = 2048;
constexpr int kCoordinate = 32;  // bytes of a number of P-256

using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Pkey = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Digest = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;

Error library_error(const char* what) {
  ERR_clear_error();
  return bug(std::string("crypto library: ") + what);
}

/// A number of the public key, base64url; empty: there is none. `size`: of the output, 0: as short as it may be.
std::string number(const EVP_PKEY* key, const char* name, int size) {
  BIGNUM* taken = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &taken) != 1) {
    return {};
  }
  const Number owned(taken);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size == 0 ? BN_num_bytes(taken) : size));
  if (BN_bn2binpad(taken, bytes.data(), static_cast<int>(bytes.size())) < 0) {
    return {};
  }
  return base64url_encode(bytes);
}

bool fits(const EVP_PKEY* key, SignatureAlgorithm algorithm) {
  if (algorithm == SignatureAlgorithm::kRs256) {
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= static_cast<int>(kRsaBits);
  }
  return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_bits(key) == 256;
}

/// From the library's DER to two numbers of fixed size.
Result<std::vector<std::uint8_t>> flat(const std::vector<std::uint8_t>& der) {
  const unsigned char* at = der.data();
  const EcSignature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::vector<std::uint8_t> out(std::size_t{2} * kCoordinate);
  if (!signature || BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), out.data(), kCoordinate) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), out.data() + kCoordinate, kCoordinate) < 0) {
    return library_error("no ECDSA signature");
  }
  return out;
}

}  // namespace

struct SigningKey::Key {
  Pkey pkey;
};

std::string_view to_string(SignatureAlgorithm algorithm) {
  return algorithm == SignatureAlgorithm::kRs256 ? "RS256" : "ES256";
}

std::string base64url_encode(Bytes data) {
  std::string out = base64_encode(data);
  while (!out.empty() && out.back() == '=') {
    out.pop_back();
  }
  for (char& c : out) {
    c = c == '+' ? '-' : c == '/' ? '_' : c;
  }
  return out;
}

SigningKey::SigningKey(std::unique_ptr<Key> key, SignatureAlgorithm algorithm)
    : key_(std::move(key)), algorithm_(algorithm) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

Result<SigningKey> SigningKey::generate(SignatureAlgorithm algorithm) {
  auto key = std::make_unique<Key>();
  key->pkey.reset(algorithm == SignatureAlgorithm::kRs256 ? EVP_RSA_gen(kRsaBits) : EVP_EC_gen("P-256"));
  if (!key->pkey) {
    return library_error("no signing key");
  }
  SigningKey made(std::move(key), algorithm);
  if (auto described = made.describe(); !described) {
    return std::move(described).error();
  }
  return made;
}

Result<SigningKey> SigningKey::from_pem(const Secret& pem, SignatureAlgorithm algorithm) {
  const Bio in(BIO_new_mem_buf(pem.bytes().data(), static_cast<int>(pem.size())));
  auto key = std::make_unique<Key>();
  key->pkey.reset(
      in ? PEM_read_bio_PrivateKey(in.get(), nullptr, [](char*, int, int, void*) { return -1; }, nullptr) : nullptr);
  ERR_clear_error();
  if (!key->pkey || !fits(key->pkey.get(), algorithm)) {
    return config_error(fmt::format("holds no private key for {}", to_string(algorithm)));
  }
  SigningKey made(std::move(key), algorithm);
  if (auto described = made.describe(); !described) {
    return std::move(described).error();
  }
  return made;
}

Result<void> SigningKey::describe() {
  const EVP_PKEY* key = key_->pkey.get();
  if (algorithm_ == SignatureAlgorithm::kRs256) {
    jwk_ = fmt::format(R"({{"e":"{}","kty":"RSA","n":"{}"}})", number(key, OSSL_PKEY_PARAM_RSA_E, 0),
                       number(key, OSSL_PKEY_PARAM_RSA_N, 0));
  } else {
    jwk_ = fmt::format(R"({{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}})",
                       number(key, OSSL_PKEY_PARAM_EC_PUB_X, kCoordinate),
                       number(key, OSSL_PKEY_PARAM_EC_PUB_Y, kCoordinate));
  }
  const auto digest = sha256(as_bytes(jwk_));
  if (!digest) {
    return digest.error();
  }
  thumbprint_ = base64url_encode(*digest);
  return {};
}

Result<Secret> SigningKey::to_pem() const {
  const Bio out(BIO_new(BIO_s_secmem()));
  if (!out || PEM_write_bio_PKCS8PrivateKey(out.get(), key_->pkey.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return library_error("a private key cannot be written");
  }
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return Secret::copy_of(std::string_view(text, size < 0 ? 0 : static_cast<std::size_t>(size)));
}

Result<std::vector<std::uint8_t>> SigningKey::sign(std::string_view text) const {
  const Digest context(EVP_MD_CTX_new());
  const Bytes bytes = as_bytes(text);
  std::size_t size = 0;
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_->pkey.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes.data(), bytes.size()) != 1) {
    return library_error("cannot sign");
  }
  std::vector<std::uint8_t> out(size);
  if (EVP_DigestSign(context.get(), out.data(), &size, bytes.data(), bytes.size()) != 1) {
    return library_error("cannot sign");
  }
  out.resize(size);
  return algorithm_ == SignatureAlgorithm::kEs256 ? flat(out) : Result<std::vector<std::uint8_t>>(std::move(out));
}

}  // namespace msp
