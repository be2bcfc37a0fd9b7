// SPDX-License-Identifier: Apache-2.0
#include "base/crypto_cms.h"

#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <array>

namespace msp {
namespace {

struct Pair {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;

  explicit Pair(EVP_PKEY* made) : key(made), certificate(X509_new()) {
    static long serial = 0;  // what an envelope names its recipient by, with the issuer
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
  }
  ~Pair() {
    X509_free(certificate);
    EVP_PKEY_free(key);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  std::vector<std::uint8_t> der() const {
    std::vector<std::uint8_t> out(static_cast<std::size_t>(i2d_X509(certificate, nullptr)));
    unsigned char* at = out.data();
    i2d_X509(certificate, &at);
    return out;
  }
  Secret pem(bool with_key = true) const {
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, certificate);
    if (with_key) {
      PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(out, &text);
    Secret secret = Secret::copy_of(std::string_view(text, static_cast<std::size_t>(size)));
    BIO_free(out);
    return secret;
  }
};

/// Keys take long to make.
const Pair& rsa(std::size_t which) {
  static const Pair kFirst(EVP_RSA_gen(2048));
  static const Pair kSecond(EVP_RSA_gen(2048));
  return which == 0 ? kFirst : kSecond;
}
const Pair& elliptic() {
  static const Pair kPair(EVP_EC_gen("P-256"));
  return kPair;
}

std::string opened(const std::vector<std::uint8_t>& der, const Pair& by) {
  BIO* in = BIO_new_mem_buf(der.data(), static_cast<int>(der.size()));
  BIO* out = BIO_new(BIO_s_mem());
  CMS_ContentInfo* envelope = d2i_CMS_bio(in, nullptr);
  std::string text;
  if (CMS_decrypt(envelope, by.key, by.certificate, nullptr, out, 0) == 1) {
    char* at = nullptr;
    const long size = BIO_get_mem_data(out, &at);
    text.assign(at, static_cast<std::size_t>(size));
  }
  CMS_ContentInfo_free(envelope);
  BIO_free(out);
  BIO_free(in);
  return text;
}

TEST(CmsEnvelope, OnlyTheOwnerOfTheCertificateOpensIt) {
  const Secret content = Secret::copy_of(std::string_view("line\nline\r\n\0end", 15));
  for (const auto cipher : {EnvelopeCipher::kTripleDes, EnvelopeCipher::kAes128, EnvelopeCipher::kAes256}) {
    const auto envelope = cms_envelope(content, rsa(0).der(), cipher);
    ASSERT_TRUE(envelope) << envelope.error().text();
    EXPECT_EQ(opened(*envelope, rsa(0)), content.reveal());
    EXPECT_EQ(opened(*envelope, rsa(1)), "");
  }
}

TEST(CmsEnvelope, RefusesCertificatesThatAreNotGood) {
  const Secret content = Secret::copy_of(std::string_view("x"));
  const auto refused = [&](Bytes der) {
    const auto envelope = cms_envelope(content, der, EnvelopeCipher::kAes128);
    return !envelope && envelope.error().source == Source::kClient;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused(as_bytes("not a certificate")));
  EXPECT_TRUE(refused(elliptic().der()));
  const Pair weak(EVP_RSA_gen(1024));
  EXPECT_TRUE(refused(weak.der()));
  std::vector<std::uint8_t> more = rsa(0).der();
  for (std::size_t size = 0; size < more.size(); size += 37) {
    EXPECT_TRUE(refused(Bytes(more).first(size)));
  }
  more.push_back(0);
  EXPECT_TRUE(refused(more));
}

TEST(Certificate, IsCheckedWithItsKey) {
  const auto facts = check_certificate(rsa(0).pem());
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_TRUE(facts->has_key);
  EXPECT_EQ(facts->thumbprint.size(), 40U);
  EXPECT_FALSE(check_certificate(rsa(0).pem(false))->has_key);
  const Secret foreign = Secret::copy_of(std::string(rsa(0).pem(false).reveal()) +
                                         std::string(rsa(1).pem().reveal().substr(rsa(1).pem(false).size())));
  EXPECT_FALSE(check_certificate(foreign)) << "another one's key";
  EXPECT_FALSE(check_certificate(elliptic().pem())) << "guests of the field read RSA keys only";
  EXPECT_TRUE(check_certificate(elliptic().pem(false)));
  EXPECT_FALSE(check_certificate(Secret::copy_of(std::string_view("nothing"))));
  EXPECT_FALSE(check_certificate(
      Secret::copy_of(std::string(rsa(0).pem(false).reveal()) + std::string(rsa(1).pem(false).reveal()))))
      << "two certificates";
}

TEST(Pkcs12, HoldsEachKeyWithItsCertificate) {
  std::array<Secret, 2> pems = {rsa(0).pem(), rsa(1).pem(false)};
  const auto container = make_pkcs12(pems);
  ASSERT_TRUE(container) << container.error().text();
  BIO* in = BIO_new_mem_buf(container->bytes().data(), static_cast<int>(container->size()));
  PKCS12* read = d2i_PKCS12_bio(in, nullptr);
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  STACK_OF(X509)* others = nullptr;
  ASSERT_EQ(PKCS12_parse(read, "", &key, &certificate, &others), 1);
  EXPECT_EQ(EVP_PKEY_eq(key, rsa(0).key), 1);
  EXPECT_EQ(X509_cmp(certificate, rsa(0).certificate), 0);
  EXPECT_EQ(sk_X509_num(others), 1);
  sk_X509_pop_free(others, X509_free);
  X509_free(certificate);
  EVP_PKEY_free(key);
  PKCS12_free(read);
  BIO_free(in);
}

}  // namespace
}  // namespace msp
