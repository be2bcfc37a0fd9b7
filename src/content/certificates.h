// SPDX-License-Identifier: Apache-2.0
// The certificates of a machine: named by its model (osProfile.secrets), kept by the operator as files.
// Files are read when a model is read, never when a guest asks. Any thread but a data loop reads them.
// A certificate that is not there, or not good, is a problem of the model: nothing is half handed out.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "base/json_fields.h"
#include "base/secret.h"

namespace msp::content {

/// Where the secrets lie that models name: `<directory>/<secret>.pem`, readable by their owner only.
class Vault {
 public:
  Vault() = default;  ///< holds nothing
  explicit Vault(std::string directory) : directory_(std::move(directory)) {}

  /// The PEM text of a certificateUrl such as "https://vault.example/secrets/web/0123".
  Result<Secret> read(std::string_view url) const;

 private:
  std::string directory_;
};

struct Certificates {
  Secret pkcs12;            ///< empty: none
  std::string thumbprints;  ///< one a line
};

/// Those of /properties/osProfile/secrets[]/vaultCertificates[] of a document that stands at `pointer`.
Certificates read_certificates(const json::Value& model, const Vault& vault, const std::string& pointer,
                               json::Problems& problems);

}  // namespace msp::content
