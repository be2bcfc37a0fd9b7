// SPDX-License-Identifier: Apache-2.0
#include "gateway/signers.h"

#include <fmt/format.h>

#include <cerrno>
#include <functional>

#include "base/ascii.h"
#include "base/file.h"
#include "base/log.h"

namespace msp::gateway {
namespace {

constexpr const char* kAttestedName = "metadata.msp-host.invalid";

/// The file's text; made if it is not there and `make` is given.
/// `keep`: why it is to be backed up.
Result<Secret> read_or_make(const std::string& path, const std::function<Result<Secret>()>& make,
                            std::string_view keep) {
  auto text = file::read_secret(path, file::private_state());
  if (text || text.error().code != ENOENT || !make) {
    return text;
  }
  auto made = make();
  if (!made) {
    return made;
  }
  if (auto written = file::replace(path, made->reveal()); !written) {
    return std::move(written).error();
  }
  log::info("a key was made: {}", path);
  log::hint("{}", keep);
  return made;
}

}  // namespace

std::string issuer_key_path(const std::string& state_directory, SignatureAlgorithm algorithm) {
  return fmt::format("{}/issuer-{}.pem", state_directory, ascii_lower(to_string(algorithm)));
}

std::string attested_key_path(const std::string& state_directory) { return state_directory + "/attested.pem"; }

Result<SigningKey> load_issuer_key(const std::string& state_directory, SignatureAlgorithm algorithm) {
  const std::string path = issuer_key_path(state_directory, algorithm);
  auto text = read_or_make(
      path,
      [&]() -> Result<Secret> {
        const auto key = SigningKey::generate(algorithm);
        return key ? key->to_pem() : Result<Secret>(key.error());
      },
      "keep a copy of it: verifiers know tokens by it, and mspctl host backup does not hold it");
  auto key = text ? SigningKey::from_pem(*text, algorithm) : Result<SigningKey>(std::move(text).error());
  return key ? std::move(key) : Result<SigningKey>(std::move(key).error().context("token key " + path));
}

Result<DocumentSigner> load_document_signer(const std::string& state_directory, const std::string& given) {
  const std::string path = given.empty() ? attested_key_path(state_directory) : given;
  std::function<Result<Secret>()> make;
  if (given.empty()) {
    make = [] { return DocumentSigner::make_pem(kAttestedName); };
  }
  auto text = read_or_make(
      path, make,
      "keep a copy of it: verifiers know documents by its certificate, and mspctl host backup does not hold it");
  auto signer = text ? DocumentSigner::from_pem(*text) : Result<DocumentSigner>(std::move(text).error());
  return signer ? std::move(signer)
                : Result<DocumentSigner>(std::move(signer).error().context("key of attested documents " + path));
}

}  // namespace msp::gateway
