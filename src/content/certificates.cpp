// SPDX-License-Identifier: Apache-2.0
#include "content/certificates.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/crypto_cms.h"
#include "base/file.h"

namespace msp::content {
namespace {

constexpr std::string_view kSecrets = "/secrets/";
constexpr std::size_t kLongestName = 127;
constexpr std::size_t kMost = 32;

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

const json::Array* items(const json::Value* of, std::string_view name) {
  const json::Value* value = of == nullptr ? nullptr : of->find(name);
  return value == nullptr ? nullptr : value->array();
}

}  // namespace

Result<Secret> Vault::read(std::string_view url) const {
  const auto at = url.find(kSecrets);
  const std::string_view rest = at == std::string_view::npos ? std::string_view{} : url.substr(at + kSecrets.size());
  const std::string_view name = rest.substr(0, rest.find('/'));
  if (!is_name(name)) {
    return config_error("must be of the form https://VAULT/secrets/NAME/VERSION");
  }
  if (directory_.empty()) {
    return config_error("the host has no certificates", "name a certificateDirectory in its configuration");
  }
  return file::read_secret(fmt::format("{}/{}.pem", directory_, name), file::private_state());
}

Certificates read_certificates(const json::Value& model, const Vault& vault, const std::string& pointer,
                               json::Problems& problems) {
  Certificates out;
  std::vector<Secret> pems;
  const json::Array* groups = items(model.at("/properties/osProfile"), "secrets");
  for (std::size_t i = 0; groups != nullptr && i < groups->size(); ++i) {
    const json::Array* list = items(&(*groups)[i], "vaultCertificates");
    for (std::size_t j = 0; list != nullptr && j < list->size(); ++j) {
      const std::string at =
          fmt::format("{}/properties/osProfile/secrets/{}/vaultCertificates/{}/certificateUrl", pointer, i, j);
      const json::Value* url = (*list)[j].find("certificateUrl");
      auto pem = vault.read(url != nullptr && url->is_string() ? std::string_view(*url->string()) : "");
      const auto facts = pem ? check_certificate(*pem) : Result<CertificateFacts>(pem.error());
      if (!facts || pems.size() == kMost) {
        problems.add(at, (*list)[j].begin, facts ? "a machine has too many certificates" : facts.error().text());
        continue;
      }
      out.thumbprints += facts->thumbprint + "\n";
      pems.push_back(std::move(*pem));
    }
  }
  if (pems.empty() || !problems.empty()) {
    return {};
  }
  auto container = make_pkcs12(pems);
  if (!container) {
    problems.add(pointer, 0, container.error().text());
    return {};
  }
  out.pkcs12 = std::move(*container);
  return out;
}

}  // namespace msp::content
