// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "http/target.h"
#include "request/canonical_request.h"

namespace msp::request {
namespace {

const std::vector<std::string> kNames{"metadata.internal", "Wire.Example"};

struct Case {
  std::string_view head;  ///< request line and headers, lines ended by '\n' for readability
  Fault expected;
};

Fault screen_text(std::string_view text, const Ipv4Endpoint& endpoint) {
  std::string bytes;
  for (const char c : text) {
    bytes += c == '\n' ? "\r\n" : std::string(1, c);
  }
  bytes += "\r\n";
  http::RequestHead head;
  const auto parsed = http::parse_request_head(bytes, head);
  EXPECT_TRUE(parsed.complete()) << text << ": " << parsed.refusal.code;
  const auto target = http::parse_target(head.target);
  EXPECT_TRUE(target) << text;
  return parsed.complete() && target ? screen(head, *target, {.endpoint = endpoint, .names = kNames}) : Fault::kNone;
}

void expect_all(std::span<const Case> cases, const Ipv4Endpoint& endpoint) {
  for (const Case& c : cases) {
    EXPECT_EQ(code_of(screen_text(c.head, endpoint)), code_of(c.expected)) << c.head;
  }
}

TEST(Screen, HostMustBeTheDestination) {
  expect_all(
      std::vector<Case>{
          {"GET / HTTP/1.1\nhost: 169.254.169.254\n", Fault::kNone},
          {"GET / HTTP/1.1\nHOST: 169.254.169.254:80\n", Fault::kNone},
          {"GET / HTTP/1.1\nhost: METADATA.internal\n", Fault::kNone},
          {"GET / HTTP/1.1\nhost: wire.example:80\n", Fault::kNone},
          {"GET / HTTP/1.1\nhost: 169.254.169.254:8080\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: 169.254.169.254:080\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: 169.254.169.254:\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: 168.63.129.16\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: 169.254.169.254.\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: 0xa9fea9fe\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: 2852039166\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: [::ffff:169.254.169.254]\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: rebind.example\n", Fault::kHostForeign},
          {"GET / HTTP/1.1\nhost: metadata.internal.evil.example\n", Fault::kHostForeign},
          {"GET / HTTP/1.0\nhost: rebind.example\n", Fault::kHostForeign},
          {"GET / HTTP/1.0\n", Fault::kNone},
      },
      kImdsEndpoint);
  expect_all(
      std::vector<Case>{
          {"GET / HTTP/1.1\nhost: 168.63.129.16\n", Fault::kNone},
          {"GET / HTTP/1.1\nhost: 168.63.129.16:32526\n", Fault::kNone},
          {"GET / HTTP/1.1\nhost: 168.63.129.16:80\n", Fault::kHostForeign},
      },
      kHostGaPluginEndpoint);
}

TEST(Screen, AbsoluteFormMustNameTheDestination) {
  expect_all(
      std::vector<Case>{
          {"GET http://169.254.169.254/x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kNone},
          {"GET http://169.254.169.254:80/x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kNone},
          {"GET http://metadata.internal/x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kNone},
          {"GET http://168.63.129.16/x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kHostForeign},
          {"GET http://169.254.169.254/x HTTP/1.1\nhost: evil.example\n", Fault::kHostForeign},
          {"GET http://0xa9fea9fe/x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kHostForeign},
          {"GET http://u@169.254.169.254/x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kUserinfo},
          {"GET http://169.254.169.254:80@evil.example/x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kUserinfo},
      },
      kImdsEndpoint);
}

TEST(Screen, FormsMethodsAndPaths) {
  expect_all(
      std::vector<Case>{
          {"OPTIONS * HTTP/1.1\nhost: 169.254.169.254\n", Fault::kNone},
          {"GET * HTTP/1.1\nhost: 169.254.169.254\n", Fault::kAsteriskForm},
          {"GET 169.254.169.254:80 HTTP/1.1\nhost: 169.254.169.254\n", Fault::kAuthorityForm},
          {"CONNECT 169.254.169.254:80 HTTP/1.1\nhost: 169.254.169.254\n", Fault::kMethodNotAllowed},
          {"TRACE /x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kMethodNotAllowed},
          {"get /x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kMethodNotAllowed},
          {"PROPFIND /x HTTP/1.1\nhost: 169.254.169.254\n", Fault::kMethodNotAllowed},
          {"TRACE /x HTTP/1.1\nhost: evil.example\n", Fault::kHostForeign},
          {"GET /a/../b HTTP/1.1\nhost: 169.254.169.254\n", Fault::kPathTraversal},
          {"GET /a%2F..%2Fb HTTP/1.1\nhost: 169.254.169.254\n", Fault::kPathTraversal},
          {"GET //b HTTP/1.1\nhost: 169.254.169.254\n", Fault::kPathTraversal},
          {"GET /a..b?x=../.. HTTP/1.1\nhost: 169.254.169.254\n", Fault::kNone},
          {"TRACE /a/../b HTTP/1.1\nhost: 169.254.169.254\n", Fault::kMethodNotAllowed},
      },
      kImdsEndpoint);
}

TEST(Screen, HostMissingOrRepeatedWhereTheParserWouldNotSay) {
  http::RequestHead head;
  head.method = "GET";
  const auto target = http::parse_target("/");
  const Addressee addressee{.endpoint = kImdsEndpoint, .names = {}};
  EXPECT_EQ(screen(head, *target, addressee), Fault::kHostMissing);
  head.headers.push({.name = "host", .value = "169.254.169.254"});
  EXPECT_EQ(screen(head, *target, addressee), Fault::kNone);
  head.headers.push({.name = "Host", .value = "169.254.169.254"});
  EXPECT_EQ(screen(head, *target, addressee), Fault::kHeaderRepeated);
}

TEST(Faults, EachHasAnAnswer) {
  for (std::size_t i = 1; i < kFaultCount; ++i) {
    const auto fault = static_cast<Fault>(i);
    const int status = status_of(fault);
    EXPECT_TRUE(status == 400 || status == 403 || status == 405 || status == 417) << status;
    EXPECT_FALSE(code_of(fault).empty());
    EXPECT_EQ(code_of(fault).find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string_view::npos);
    EXPECT_FALSE(describe(fault).empty());
    EXPECT_FALSE(describe(fault).contains("unreachable"));
    EXPECT_EQ(canon_name(fault).empty(), !code_of(fault).starts_with("canon_"));
    for (std::size_t other = 0; other < i; ++other) {
      EXPECT_NE(code_of(fault), code_of(static_cast<Fault>(other)));
    }
  }
}

}  // namespace
}  // namespace msp::request
