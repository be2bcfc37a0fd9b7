// SPDX-License-Identifier: Apache-2.0
#include "http/target.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/guarded.h"

namespace msp::http {
namespace {

struct Good {
  std::string_view raw;
  TargetForm form;
  std::string_view scheme, authority, path, query;
  bool has_query;
};

TEST(Target, SplitsEveryForm) {
  constexpr auto kO = TargetForm::kOrigin;
  constexpr auto kA = TargetForm::kAbsolute;
  constexpr auto kH = TargetForm::kAuthority;
  const std::vector<Good> cases = {
      {"/", kO, "", "", "/", "", false},
      {"/a//b/../c", kO, "", "", "/a//b/../c", "", false},
      {"/a?b=1&c", kO, "", "", "/a", "b=1&c", true},
      {"/a?", kO, "", "", "/a", "", true},
      {"/a??b?", kO, "", "", "/a", "?b?", true},
      {"/a#f?x=1", kO, "", "", "/a", "", false},
      {"/a?b#f", kO, "", "", "/a", "b", true},
      {"/a?b#\"<`", kO, "", "", "/a", "b", true},
      {"/\"{|}~", kO, "", "", "/\"{|}~", "", false},
      {"/a?`{|}", kO, "", "", "/a", "`{|}", true},
      {"//host/path", kO, "", "", "//host/path", "", false},
      {"/http://h/", kO, "", "", "/http://h/", "", false},
      {"*", TargetForm::kAsterisk, "", "", "*", "", false},
      {"http://169.254.169.254/metadata?x=1", kA, "http", "169.254.169.254", "/metadata", "x=1", true},
      {"HTTP://h", kA, "HTTP", "h", "/", "", false},
      {"http://h?b=1&a=2", kA, "http", "h", "/", "b=1&a=2", true},
      {"http://h#f", kA, "http", "h", "/", "", false},
      {"http://user:pw@h:80/", kA, "http", "user:pw@h:80", "/", "", false},
      {"http://[::1]:80/a", kA, "http", "[::1]:80", "/a", "", false},
      {"http://h:/a", kA, "http", "h:", "/a", "", false},
      {"https://h/a", kA, "https", "h", "/a", "", false},
      {"169.254.169.254:80", kH, "", "169.254.169.254:80", "", "", false},
      {"localhost", kH, "", "localhost", "", "", false},
  };
  for (const Good& c : cases) {
    const test::Guarded guarded(c.raw);
    const auto target = parse_target(guarded.view());
    ASSERT_TRUE(target) << c.raw;
    EXPECT_EQ(target->form, c.form) << c.raw;
    EXPECT_EQ(target->scheme, c.scheme) << c.raw;
    EXPECT_EQ(target->authority, c.authority) << c.raw;
    EXPECT_EQ(target->path, c.path) << c.raw;
    EXPECT_EQ(target->query, c.query) << c.raw;
    EXPECT_EQ(target->has_query, c.has_query) << c.raw;
  }
}

TEST(Target, RefusesWhatIsNoTarget) {
  for (const std::string_view raw :
       {"",           "#",         "#f",       "?",         "?x=1",    "abc/def",    "*?x",        "*#f",
        "http:/h/x",  "http:///x", "http://",  "http://?x", "://h/",   "1http://h/", "ht tp://h/", "http://h\\x/",
        "http://h|/", "/a<b",      "/a>b",     "/a`b",      "/a b",    "/a\x7F",     "/\xC3\xBC",  "/a?\"",
        "/a?<",       "/a?>",      "/a?b\x01", "h/p://x",   "a?x://h", "host?x",     "host#f",     "http://h\"/"}) {
    const test::Guarded guarded(raw);
    const auto target = parse_target(guarded.view());
    ASSERT_FALSE(target) << raw;
    EXPECT_EQ(target.error().status, 400);
    EXPECT_EQ(target.error().code, "bad_target");
  }
}

TEST(Target, EveryByteOfPathAndQueryIsAsListed) {
  const auto in_path = [](unsigned c) {
    return c == 0x21 || c == 0x22 || (c >= 0x24 && c <= 0x3B) || c == 0x3D || (c >= 0x40 && c <= 0x5F) ||
           (c >= 0x61 && c <= 0x7E);
  };
  const auto in_query = [](unsigned c) {
    return c == 0x21 || (c >= 0x24 && c <= 0x3B) || c == 0x3D || (c >= 0x3F && c <= 0x7E);
  };
  for (unsigned c = 0; c < 256; ++c) {
    const char byte = static_cast<char>(c);
    if (byte == '?' || byte == '#') {
      continue;
    }
    EXPECT_EQ(parse_target(std::string("/a") + byte + "b").has_value(), in_path(c)) << c;
    EXPECT_EQ(parse_target(std::string("/a?b") + byte + "c").has_value(), in_query(c)) << c;
  }
}

TEST(Target, LengthLimitIsExact) {
  EXPECT_TRUE(parse_target(std::string(kMaxTargetBytes, '/')));
  const auto target = parse_target(std::string(kMaxTargetBytes + 1, '/'));
  ASSERT_FALSE(target);
  EXPECT_EQ(target.error().status, 414);
}

}  // namespace
}  // namespace msp::http
