// SPDX-License-Identifier: Apache-2.0
#include "base/crypto_cms.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/cms.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "base/ascii.h"
#include "base/crypto_deleter.h"

namespace msp {
namespace {

constexpr int kLeastBits = 2048;
constexpr int kMostBits = 4096;
constexpr int kMostExponentBits = 32;  // what a guest chooses must not make an operation dear
constexpr int kMacRounds = 1;          // the password is empty: nothing to slow down

void free_certificates(STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }
void free_bags(STACK_OF(PKCS12_SAFEBAG) * stack) { sk_PKCS12_SAFEBAG_pop_free(stack, PKCS12_SAFEBAG_free); }
void free_safes(STACK_OF(PKCS7) * stack) { sk_PKCS7_pop_free(stack, PKCS7_free); }

using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Certificates = std::unique_ptr<STACK_OF(X509), Deleter<free_certificates>>;
using Bags = std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), Deleter<free_bags>>;
using Safes = std::unique_ptr<STACK_OF(PKCS7), Deleter<free_safes>>;
using Container = std::unique_ptr<PKCS12, Deleter<PKCS12_free>>;
using Envelope = std::unique_ptr<CMS_ContentInfo, Deleter<CMS_ContentInfo_free>>;

Error library_error(const char* what) {
  ERR_clear_error();
  return bug(std::string("crypto library: ") + what);
}

/// The library writes what it makes into memory that is wiped when it is freed.
Bio secret_bio() { return Bio(BIO_new(BIO_s_secmem())); }

Bytes content_of(BIO* bio) {
  char* at = nullptr;
  const long size = BIO_get_mem_data(bio, &at);
  return {reinterpret_cast<const std::uint8_t*>(at), size < 0 ? 0 : static_cast<std::size_t>(size)};
}

struct Pair {
  Certificate certificate;
  Key key;  ///< may be null
};

int no_password(char*, int, int, void*) { return -1; }

Result<Pair> read_pem(const Secret& pem) {
  const auto open = [&] { return Bio(BIO_new_mem_buf(pem.bytes().data(), static_cast<int>(pem.size()))); };
  const Bio certificates = open();
  const Bio keys = open();
  if (!certificates || !keys) {
    return library_error("no memory");
  }
  Pair pair;
  pair.certificate.reset(PEM_read_bio_X509(certificates.get(), nullptr, &no_password, nullptr));
  const Certificate another(PEM_read_bio_X509(certificates.get(), nullptr, &no_password, nullptr));
  pair.key.reset(PEM_read_bio_PrivateKey(keys.get(), nullptr, &no_password, nullptr));
  ERR_clear_error();
  if (!pair.certificate || another) {
    return config_error("must hold one certificate in PEM form", "put the certificate, and its key, into one file");
  }
  if (pair.key && X509_check_private_key(pair.certificate.get(), pair.key.get()) != 1) {
    ERR_clear_error();
    return config_error("the private key is not that of the certificate");
  }
  if (pair.key && EVP_PKEY_get_base_id(pair.key.get()) != EVP_PKEY_RSA) {
    return config_error("the private key must be an RSA key", "guest agents read no other");
  }
  return pair;
}

bool add_bags(STACK_OF(PKCS12_SAFEBAG) * *bags, const Pair& pair) {
  PKCS12_SAFEBAG* certificate = PKCS12_add_cert(bags, pair.certificate.get());
  if (certificate == nullptr || !pair.key) {
    return certificate != nullptr;
  }
  unsigned char id[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(pair.certificate.get(), EVP_sha1(), id, &size) != 1) {
    return false;
  }
  // The common id says which key belongs to which certificate.
  PKCS12_SAFEBAG* key = PKCS12_add_key(bags, pair.key.get(), 0, 0, -1, nullptr);
  return key != nullptr && PKCS12_add_localkeyid(certificate, id, static_cast<int>(size)) == 1 &&
         PKCS12_add_localkeyid(key, id, static_cast<int>(size)) == 1;
}

bool is_acceptable(const EVP_PKEY* key) {
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
    return false;
  }
  BIGNUM* exponent = nullptr;
  const bool known = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent) == 1;
  const Number owned(exponent);
  const int bits = EVP_PKEY_get_bits(key);
  return known && BN_num_bits(owned.get()) <= kMostExponentBits && bits >= kLeastBits && bits <= kMostBits;
}

const EVP_CIPHER* cipher_of(EnvelopeCipher cipher) {
  switch (cipher) {
    case EnvelopeCipher::kTripleDes:
      return EVP_des_ede3_cbc();
    case EnvelopeCipher::kAes128:
      return EVP_aes_128_cbc();
    case EnvelopeCipher::kAes256:
      return EVP_aes_256_cbc();
  }
  return EVP_aes_256_cbc();
}

}  // namespace

Result<CertificateFacts> check_certificate(const Secret& pem) {
  const auto pair = read_pem(pem);
  if (!pair) {
    return pair.error();
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(pair->certificate.get(), EVP_sha1(), digest, &size) != 1) {
    return library_error("no digest of a certificate");
  }
  return CertificateFacts{.thumbprint = ascii_upper(hex_encode({digest, size})), .has_key = pair->key != nullptr};
}

Result<Secret> make_pkcs12(std::span<const Secret> pems) {
  STACK_OF(PKCS12_SAFEBAG)* bags = nullptr;
  bool good = true;
  for (const Secret& pem : pems) {
    const auto pair = read_pem(pem);
    good = good && pair.ok() && add_bags(&bags, *pair);
  }
  const Bags owned_bags(bags);
  STACK_OF(PKCS7)* safes = nullptr;
  good = good && bags != nullptr && PKCS12_add_safe(&safes, bags, -1, 0, nullptr) == 1;
  const Safes owned_safes(safes);
  const Container container(good ? PKCS12_add_safes(safes, 0) : nullptr);
  const Bio out = secret_bio();
  if (!container || !out || PKCS12_set_mac(container.get(), "", 0, nullptr, 0, kMacRounds, EVP_sha256()) != 1 ||
      i2d_PKCS12_bio(out.get(), container.get()) != 1) {
    return library_error("no PKCS#12 container");
  }
  return Secret::copy_of(content_of(out.get()));
}

Result<std::vector<std::uint8_t>> cms_envelope(const Secret& content, Bytes certificate, EnvelopeCipher cipher) {
  const unsigned char* at = certificate.data();
  const Certificate parsed(d2i_X509(nullptr, &at, static_cast<long>(certificate.size())));
  if (!parsed || at != certificate.data() + certificate.size() || !is_acceptable(X509_get0_pubkey(parsed.get()))) {
    ERR_clear_error();
    return Error{.source = Source::kClient,
                 .message = "no certificate of an RSA key of 2048 to 4096 bits",
                 .hint = {},
                 .code = 0};
  }
  const Certificates recipients(sk_X509_new_null());
  if (!recipients || sk_X509_push(recipients.get(), parsed.get()) <= 0) {
    return library_error("no memory");
  }
  X509_up_ref(parsed.get());  // the list holds it, too
  const Bio in(BIO_new_mem_buf(content.bytes().data(), static_cast<int>(content.size())));
  const Envelope envelope(in ? CMS_encrypt(recipients.get(), in.get(), cipher_of(cipher), CMS_BINARY) : nullptr);
  const Bio out(BIO_new(BIO_s_mem()));
  if (!envelope || !out || i2d_CMS_bio(out.get(), envelope.get()) != 1) {
    return library_error("no CMS envelope");
  }
  const Bytes bytes = content_of(out.get());
  return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
}

}  // namespace msp
