// SPDX-License-Identifier: Apache-2.0
#include "base/crypto_document.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/crypto_deleter.h"

namespace msp {
namespace {

constexpr long kTenYears = 10L * 365 * 86'400;
constexpr int kSerialBits = 127;

void free_certificates(STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }

using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Certificates = std::unique_ptr<STACK_OF(X509), Deleter<free_certificates>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Number = std::unique_ptr<BIGNUM, Deleter<BN_free>>;
using Signed = std::unique_ptr<CMS_ContentInfo, Deleter<CMS_ContentInfo_free>>;

Error library_error(const char* what) {
  ERR_clear_error();
  return bug(std::string("crypto library: ") + what);
}

std::string_view text_of(BIO* bio) {
  char* at = nullptr;
  const long size = BIO_get_mem_data(bio, &at);
  return {at, size < 0 ? 0 : static_cast<std::size_t>(size)};
}

bool name_it(X509* certificate, const std::string& dns_name) {
  const Number serial(BN_new());
  X509_NAME* name = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>(dns_name.c_str());
  const Extension alternative(X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, ("DNS:" + dns_name).c_str()));
  return serial && BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 && alternative &&
         X509_add_ext(certificate, alternative.get(), -1) == 1;
}

}  // namespace

struct DocumentSigner::Parts {
  Key key;
  Certificate certificate;
  Certificates others;
};

DocumentSigner::DocumentSigner(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
DocumentSigner::DocumentSigner(DocumentSigner&&) noexcept = default;
DocumentSigner& DocumentSigner::operator=(DocumentSigner&&) noexcept = default;
DocumentSigner::~DocumentSigner() = default;

Result<Secret> DocumentSigner::make_pem(const std::string& dns_name) {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate(X509_new());
  const Bio out(BIO_new(BIO_s_secmem()));
  const bool good =
      key && certificate && out && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
      name_it(certificate.get(), dns_name) && X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kTenYears) != nullptr &&
      X509_set_pubkey(certificate.get(), key.get()) == 1 && X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0 &&
      PEM_write_bio_X509(out.get(), certificate.get()) == 1 &&
      PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
  if (!good) {
    return library_error("no certificate");
  }
  return Secret::copy_of(text_of(out.get()));
}

Result<DocumentSigner> DocumentSigner::from_pem(const Secret& pem) {
  const auto open = [&] { return Bio(BIO_new_mem_buf(pem.bytes().data(), static_cast<int>(pem.size()))); };
  const auto no_password = [](char*, int, int, void*) { return -1; };
  const Bio keys = open();
  const Bio certificates = open();
  auto parts = std::make_unique<Parts>();
  parts->others.reset(sk_X509_new_null());
  if (!keys || !certificates || !parts->others) {
    return library_error("no memory");
  }
  parts->key.reset(PEM_read_bio_PrivateKey(keys.get(), nullptr, no_password, nullptr));
  parts->certificate.reset(PEM_read_bio_X509(certificates.get(), nullptr, no_password, nullptr));
  while (X509* other = PEM_read_bio_X509(certificates.get(), nullptr, no_password, nullptr)) {
    if (sk_X509_push(parts->others.get(), other) <= 0) {
      X509_free(other);
      return library_error("no memory");
    }
  }
  ERR_clear_error();
  if (!parts->key || !parts->certificate || X509_check_private_key(parts->certificate.get(), parts->key.get()) != 1) {
    ERR_clear_error();
    return config_error("holds no private key with its certificate in PEM form");
  }
  return DocumentSigner(std::move(parts));
}

Result<std::vector<std::uint8_t>> DocumentSigner::sign(std::string_view text) const {
  const Bio in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const Signed document(in ? CMS_sign(parts_->certificate.get(), parts_->key.get(), parts_->others.get(), in.get(),
                                      CMS_BINARY | CMS_NOSMIMECAP)
                           : nullptr);
  const Bio out(BIO_new(BIO_s_mem()));
  if (!document || !out || i2d_CMS_bio(out.get(), document.get()) != 1) {
    return library_error("no CMS signature");
  }
  const std::string_view bytes = text_of(out.get());
  return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
}

}  // namespace msp
