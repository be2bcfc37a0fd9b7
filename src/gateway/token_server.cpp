// SPDX-License-Identifier: Apache-2.0
#include "gateway/token_server.h"

namespace msp::gateway {

http::Party TokenServer::party(const http::ConnectionInfo& connection) {
  http::Party party = Handler::party(connection);
  party.most_connections = most_of_one_;
  return party;
}

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

}  // namespace msp::gateway
