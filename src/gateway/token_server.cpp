// SPDX-License-Identifier: Apache-2.0
#include "gateway/token_server.h"

#include <fmt/format.h>

#include <cerrno>

#include "base/ascii.h"
#include "base/file.h"
#include "base/log.h"

namespace msp::gateway {

Task<http::Response> TokenServer::handle(const http::Request& request) {
  const std::string_view path = request.target.path;
  const bool discovery = path == content::TokenIssuer::kDiscoveryPath;
  if (!discovery && path != content::TokenIssuer::kKeysPath) {
    co_return http::Response::error(request, 404, "not_found", "There is nothing at this path.");
  }
  if (request.head.method != "GET" && request.head.method != "HEAD") {
    co_return http::Response::error(request, 405, "method_not_allowed", "Use GET.").header("allow", "GET, HEAD");
  }
  http::Response response = http::Response::json(200, discovery ? issuer_.discovery() : issuer_.keys());
  response.header("cache-control", "public, max-age=3600");
  co_return response;
}

Result<SigningKey> load_issuer_key(const std::string& state_directory, SignatureAlgorithm algorithm) {
  const std::string path = fmt::format("{}/issuer-{}.pem", state_directory, ascii_lower(to_string(algorithm)));
  const auto pem = file::read_secret(path, file::private_state());
  if (pem) {
    auto key = SigningKey::from_pem(*pem, algorithm);
    return key ? std::move(key) : Result<SigningKey>(std::move(key).error().context("token key " + path));
  }
  if (pem.error().code != ENOENT) {
    Error error = pem.error();
    return std::move(error).context("token key");
  }
  auto key = SigningKey::generate(algorithm);
  if (!key) {
    return key;
  }
  const auto text = key->to_pem();
  if (!text) {
    return text.error();
  }
  if (auto written = file::replace(path, text->reveal()); !written) {
    return std::move(written).error().context("token key");
  }
  log::info("a key for tokens was made: {}", path);
  return key;
}

}  // namespace msp::gateway
