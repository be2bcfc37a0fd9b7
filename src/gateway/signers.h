// SPDX-License-Identifier: Apache-2.0
// The host's own keys that sign what guests are given, and how they are kept: beside the database, for their owner
// only. Loaded at start; owned by the app, used on the loop's thread. A file that is damaged or open to others refuses
// the start.
#pragma once

#include <string>

#include "base/crypto_document.h"
#include "content/token_issuer.h"

namespace msp::gateway {

/// Null: that kind is not given out.
struct Signers {
  const content::TokenIssuer* issuer = nullptr;
  const DocumentSigner* documents = nullptr;
};

/// Where they are in the state directory.
std::string issuer_key_path(const std::string& state_directory, SignatureAlgorithm algorithm);
std::string attested_key_path(const std::string& state_directory);

/// issuer-rs256.pem or issuer-es256.pem in the state directory, made when it is not there.
Result<SigningKey> load_issuer_key(const std::string& state_directory, SignatureAlgorithm algorithm);
/// `given`: the operator's file; empty: attested.pem in the state directory, made when it is not there.
Result<DocumentSigner> load_document_signer(const std::string& state_directory, const std::string& given);

}  // namespace msp::gateway
