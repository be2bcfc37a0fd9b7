// SPDX-License-Identifier: Apache-2.0
// A request as the host's server hands it to a handler, made from text; and the text signed as an agent does.
// Owned by one test.
// A text that the parser refuses fails the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/crypto.h"
#include "http/date.h"
#include "http/message.h"
#include "protocol/authorization.h"
#include "protocol/extensions.h"
#include "protocol/headers.h"
#include "protocol/string_to_sign.h"

namespace msp::test {

using HeaderLines = std::vector<std::pair<std::string, std::string>>;

struct RequestText {
  std::string method = "GET";
  std::string target = "/";
  HeaderLines headers;
  std::string body;
  char minor = '1';  ///< of the version: HTTP/1.0 or 1.1

  RequestText& header(std::string name, std::string value) {
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
  }
  std::string head() const {
    std::string out = method + " " + target + " HTTP/1." + minor + "\r\n";
    for (const auto& [name, value] : headers) {
      out += name + ": " + value + "\r\n";
    }
    return out + "\r\n";
  }
  std::string bytes() const { return head() + body; }
};

inline std::string date_text(std::int64_t seconds) {
  const http::DateText text = http::format_date(seconds);
  return {text.data(), text.size()};
}

class ParsedRequest {
 public:
  explicit ParsedRequest(const RequestText& text, Ipv4Endpoint peer = {{10, 0, 0, 4}, 40000})
      : head_text_(text.head()), body_(text.body) {
    const auto result = http::parse_request_head(head_text_, head_);
    EXPECT_TRUE(result.complete()) << result.refusal.what << "\n" << head_text_;
    const auto target = http::parse_target(head_.target);
    EXPECT_TRUE(target.has_value());
    target_ = target.value_or(http::Target{});
    connection_.peer = peer;
    connection_.local = {{169, 254, 169, 254}, 80};
    request_.emplace(head_, target_, body_, connection_, "0123456789abcdef", body_.size());
  }
  ParsedRequest(const ParsedRequest&) = delete;
  ParsedRequest& operator=(const ParsedRequest&) = delete;

  const http::Request& request() const { return *request_; }

 private:
  std::string head_text_;
  std::string body_;
  http::RequestHead head_;
  http::Target target_;
  http::ConnectionInfo connection_;
  std::optional<http::Request> request_;
};

/// Adds the authorization header over everything that is there.
inline RequestText signed_with(RequestText text, std::string_view key, std::string_view guid) {
  ParsedRequest parsed(text);
  const auto& head = parsed.request().head;
  protocol::StringToSign to_sign;
  const auto built = to_sign.build({.method = head.method,
                                    .path = parsed.request().target.path,
                                    .query = parsed.request().target.query,
                                    .headers = {head.headers.begin(), head.headers.size()},
                                    .extended = head.headers.find(protocol::kNonceHeader) != nullptr ||
                                                head.headers.find(protocol::kCallerHeader) != nullptr});
  EXPECT_TRUE(built);
  auto mac = HmacSha256::create(as_bytes(key));
  EXPECT_TRUE(mac);
  const auto signature = protocol::sign(*mac, to_sign, std::string_view(text.body));
  EXPECT_TRUE(signature);
  std::string value;
  protocol::format_authorization(guid, *signature, value);
  text.header(std::string(protocol::kAuthorizationHeader), value);
  return text;
}

/// The headers of an agent: date, host, claims, then the lines of `text`, then content-length where there is a body.
inline RequestText from_agent(RequestText text, std::int64_t now_seconds, bool root = true) {
  HeaderLines lines = {{std::string(protocol::kDateHeader), date_text(now_seconds)},
                       {"host", "169.254.169.254"},
                       {std::string(protocol::kClaimsHeader), std::string(protocol::claims_text(root))}};
  lines.insert(lines.end(), text.headers.begin(), text.headers.end());
  if (!text.body.empty() || text.method == "POST") {
    lines.emplace_back("content-length", std::to_string(text.body.size()));
  }
  text.headers = std::move(lines);
  return text;
}

}  // namespace msp::test
