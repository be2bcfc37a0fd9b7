// SPDX-License-Identifier: Apache-2.0
#include "protocol/string_to_sign.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "http/target.h"
#include "protocol/authorization.h"
#include "protocol/headers.h"
#include "tests/vectors/golden.h"

namespace msp::protocol {
namespace {

/// One signing vector with storage for what the request's views point into.
class Vector {
 public:
  explicit Vector(const json::Value& value)
      : name(golden::text(value, "name")),
        method(golden::latin1(golden::text(value, "method"))),
        target(golden::latin1(golden::text(value, "path_and_query"))),
        key_hex(golden::text(value, "key_hex")),
        guid(golden::text(value, "key_guid")) {
    for (const json::Value& header : golden::list(value, "headers")) {
      texts_.push_back(golden::latin1(*header.array()->at(0).string()));
      texts_.push_back(golden::latin1(*header.array()->at(1).string()));
    }
    for (std::size_t i = 0; i < texts_.size(); i += 2) {
      headers.push_back({.name = texts_[i], .value = texts_[i + 1]});
    }
    const auto bytes = hex_decode(golden::text(value, "body_hex"));
    EXPECT_TRUE(bytes);
    body.assign(bytes->begin(), bytes->end());
  }

  std::string name, method, target, body, key_hex, guid;
  std::vector<http::Header> headers;

 private:
  std::vector<std::string> texts_;
};

/// Empty when the request cannot be signed.
std::string signed_header(const Vector& v, StringToSign& text) {
  const auto target = http::parse_target(v.target);
  const auto key = Secret::from_hex(v.key_hex);
  if (!target || !key) {
    return {};
  }
  const auto built =
      text.build({.method = v.method, .path = target->path, .query = target->query, .headers = v.headers});
  auto hmac = HmacSha256::create(*key);
  if (!built || !hmac) {
    return {};
  }
  const auto signature = sign(*hmac, text, v.body);
  std::string out;
  if (signature) {
    format_authorization(v.guid, *signature, out);
  }
  return out;
}

TEST(StringToSign, AgreesWithEverySigningVector) {
  const json::Value file = golden::load("signing.json");
  StringToSign text;
  std::size_t checked = 0;
  for (const json::Value& value : golden::list(file, "vectors")) {
    const Vector v(value);
    SCOPED_TRACE(v.name);
    EXPECT_EQ(signed_header(v, text), golden::text(value, "authorization_header"));
    EXPECT_EQ(hex_encode(as_bytes(text.with_body(v.body))), golden::text(value, "string_to_sign_hex"));
    EXPECT_EQ(is_exempt(v.method, *http::parse_target(v.target)), golden::flag(value, "exempt"));
    ++checked;
  }
  EXPECT_EQ(checked, 110u);
}

TEST(StringToSign, RefusesEveryErrorVector) {
  const json::Value file = golden::load("signing.json");
  StringToSign text;
  std::size_t checked = 0;
  for (const json::Value& value : golden::list(file, "error_vectors")) {
    const Vector v(value);
    EXPECT_EQ(signed_header(v, text), "") << v.name;
    ++checked;
  }
  EXPECT_EQ(checked, 10u);
}

TEST(StringToSign, GivesTheKnownSignature) {
  auto key = HmacSha256::create(*Secret::from_hex("4A404E635266556A586E3272357538782F413F4428472B4B6250645367566B59"));
  ASSERT_TRUE(key);
  EXPECT_EQ(hex_encode(*key->sign("Hello world")), "a15b46f621193876a6d3121b836dc2af4180e2786642e55235ef916fc5b082a3");
}

TEST(StringToSign, TheBodyMayComeInPieces) {
  StringToSign text;
  const std::array headers{http::Header{.name = "host", .value = "h"}};
  ASSERT_TRUE(text.build({.method = "POST", .path = "/b", .query = "x=1", .headers = headers}));
  auto key = HmacSha256::create(as_bytes("any key at all"));
  ASSERT_TRUE(key);
  const std::array<std::string_view, 4> pieces{"he", "", "llo wor", "ld"};
  const auto whole = sign(*key, text, "hello world");
  EXPECT_EQ(*sign(*key, text, pieces), *whole);
  EXPECT_EQ(*key->sign(text.with_body("hello world")), *whole);
}

// The parser refuses these bytes before; a caller that builds a request itself must not get past either.
TEST(StringToSign, RefusesBytesThatCouldImitateAnotherRequest) {
  StringToSign text;
  const auto build = [&](std::string_view method, std::string_view path, std::string_view query, std::string_view name,
                         std::string_view value) {
    const std::array headers{http::Header{.name = name, .value = value}};
    return text.build({.method = method, .path = path, .query = query, .headers = headers}).ok();
  };
  EXPECT_TRUE(build("GET", "/a", "b=c", "host", "h"));
  EXPECT_FALSE(build("", "/a", "", "host", "h"));
  EXPECT_FALSE(build("GET\n", "/a", "", "host", "h"));
  EXPECT_FALSE(build("GET", "/a\n", "", "host", "h"));
  EXPECT_FALSE(build("GET", "/a?b", "", "host", "h"));
  EXPECT_FALSE(build("GET", "/a", "b\n", "host", "h"));
  EXPECT_FALSE(build("GET", "/a", "b#c", "host", "h"));
  EXPECT_FALSE(build("GET", "/a", "", "", "h"));
  EXPECT_FALSE(build("GET", "/a", "", "host:x", "h"));
  EXPECT_FALSE(build("GET", "/a", "", "host", "h\n/evil"));
  EXPECT_FALSE(build("GET", "/a", "", "host", std::string_view("h\0", 2)));
  EXPECT_FALSE(build("GET", "/a", "", "host", "h\x7f"));
}

TEST(StringToSign, HasALimitOfHeaders) {
  StringToSign text;
  std::vector<http::Header> headers(kMaxSignedHeaders, {.name = "a", .value = "b"});
  EXPECT_TRUE(text.build({.method = "GET", .path = "/", .query = "", .headers = headers}));
  EXPECT_EQ(text.after_body(), "\na:b\n/\n");
  headers.push_back(headers.front());
  const auto refused = text.build({.method = "GET", .path = "/", .query = "", .headers = headers});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().source, Source::kClient);
}

TEST(StringToSign, TakesQueriesOfManyParts) {
  std::string query;
  std::string sorted;
  for (int i = 999; i >= 0; --i) {
    query += (query.empty() ? "K" : "&K") + std::to_string(1000 + i);
    sorted.insert(0, std::string("k") + std::to_string(1000 + i) + (i == 999 ? "" : "&"));
  }
  StringToSign text;
  ASSERT_TRUE(text.build({.method = "GET", .path = "/", .query = query, .headers = {}}));
  EXPECT_EQ(text.after_body(), "\n/\n" + sorted);
}

}  // namespace
}  // namespace msp::protocol
