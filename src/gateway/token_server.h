// SPDX-License-Identifier: Apache-2.0
// Publishes how tokens are verified: discovery document and key set, for anybody, on a listener of its own.
// Owned by the app; loop's thread.
// There is nothing to change and nothing secret; whatever else is asked is 404 or 405.
#pragma once

#include "content/token_issuer.h"
#include "http/server.h"

namespace msp::gateway {

class TokenServer final : public http::Handler {
 public:
  /// `most_of_one`: connections of one source address.
  TokenServer(const content::TokenIssuer& issuer, std::size_t most_of_one)
      : issuer_(issuer), most_of_one_(most_of_one) {}

  http::Party party(const http::ConnectionInfo& connection) override;
  std::uint64_t body_limit(const http::Request&) override { return 0; }
  Task<http::Response> handle(const http::Request& request) override;

 private:
  const content::TokenIssuer& issuer_;
  std::size_t most_of_one_;
};

}  // namespace msp::gateway
