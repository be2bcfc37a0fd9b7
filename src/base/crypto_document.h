// SPDX-License-Identifier: Apache-2.0
// Signs documents so that others can tell where they come from: CMS SignedData (RFC 5652) with the signer's
// certificate. Owned by one thread. A signature costs some 100 µs with P-256, up to a millisecond with RSA. Errors
// never quote the key.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace msp {

class DocumentSigner {
 public:
  /// A key of P-256 and a certificate of its own for this DNS name, valid for ten years.
  static Result<Secret> make_pem(const std::string& dns_name);
  /// PEM of a private key and of its certificate, which comes first; certificates behind it go along with a signature.
  static Result<DocumentSigner> from_pem(const Secret& pem);
  DocumentSigner(DocumentSigner&&) noexcept;
  DocumentSigner& operator=(DocumentSigner&&) noexcept;
  ~DocumentSigner();

  /// DER of SignedData that holds the text.
  Result<std::vector<std::uint8_t>> sign(std::string_view text) const;

 private:
  struct Parts;
  explicit DocumentSigner(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace msp
