// SPDX-License-Identifier: Apache-2.0
// What is taken out of targets, and what stays.
#include "audit/redact.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "audit/codec.h"

namespace msp::audit {
namespace {

TEST(Redact, SecretKeysOnly) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"/a/b", "/a/b"},
      {"/a?api-version=2021-02-01&resource=https%3A%2F%2Fvault",
       "/a?api-version=2021-02-01&resource=https%3A%2F%2Fvault"},
      {"/a?sig=abc", "/a?sig=redacted"},
      {"/a?SIG=abc&x=1", "/a?SIG=redacted&x=1"},
      {"/a?x=1&access_token=abc=def;y=2", "/a?x=1&access_token=redacted;y=2"},
      {"/a?%73%49g=abc", "/a?%73%49g=redacted"},
      {"/a?%=1&%7=2&%zz=3&password", "/a?%=1&%7=2&%zz=3&password"},
      {"/a?client_secret=&code=1&api-key=2&X-Amz-Signature=3&pwd=4",
       "/a?client_secret=redacted&code=redacted&api-key=redacted&X-Amz-Signature=redacted&pwd=redacted"},
      {"/a?comp=goalstate&incarnation=1&design=1", "/a?comp=goalstate&incarnation=1&design=1"},
      {"/a?&&;?=&", "/a?&&;?=&"},
      {"http://u:p@169.254.169.254/x?y=1", "http://redacted@169.254.169.254/x?y=1"},
      {"http://169.254.169.254/x@y", "http://169.254.169.254/x@y"},
      {"http://u:p@s@169.254.169.254/x", "http://redacted@169.254.169.254/x"},
      {"http://u:p@s@h@169.254.169.254/x@y?z=a@b", "http://redacted@169.254.169.254/x@y?z=a@b"},
      {"http://u:p@s@169.254.169.254?sig=1", "http://redacted@169.254.169.254?sig=redacted"},
      {"http://@169.254.169.254", "http://redacted@169.254.169.254"},
      {"http://u:p@s@169.254.169.254#@a/b", "http://redacted@169.254.169.254#redacted"},
      {"http://169.254.169.254?a=b@c", "http://169.254.169.254?a=b@c"},
      {"a@b://169.254.169.254/x", "a@b://169.254.169.254/x"},
      {"u:p@s@169.254.169.254:80", "redacted@169.254.169.254:80"},
      {"u:p@169.254.169.254/x://y", "redacted@169.254.169.254/x://y"},
      {"169.254.169.254:80", "169.254.169.254:80"},
      {"/x@y", "/x@y"},
      {"*", "*"},
      {"/x#access_token=a", "/x#redacted"},
      {"/x?a=1#sig=a", "/x?a=1#redacted"},
      {"/x?sig=a#b#c", "/x?sig=redacted#redacted"},
      {"/x#a?sig=b&c=d", "/x#redacted"},
      {"/x#", "/x#redacted"},
      {"#", "#redacted"},
      {"", ""},
  };
  for (const auto& [target, expected] : cases) {
    std::string scratch = "left over";
    EXPECT_EQ(redact_target(target, scratch), expected);
  }
}

// What a person typed who meant a URL.
TEST(Redact, UserInformationOfAUrlThatIsMistyped) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"http:/u:p@h/x", "http:/redacted@h/x"},
      {"http:///u:p@h/x", "http:///redacted@h/x"},
      {"//u:p@h/x", "//redacted@h/x"},
      {"/u:p@h/x", "/redacted@h/x"},
      {"http:u:p@h/x", "redacted@h/x"},
      {"http:\\\\u:p@h/x", "redacted@h/x"},
      {"htp//u:p@h/x", "htp//redacted@h/x"},
      {"http://a/http://u:p@h/x", "http://a/http://redacted@h/x"},
      {"/x/http:/u:p@h:80/y", "/x/http:/redacted@h:80/y"},
      {"/x/http%3A%2F%2Fu%3Ap%40h%2Fy", "/x/redacted%40h%2Fy"},
      {"/u%3ap%40h", "/redacted%40h"},
      // A name that is an address, and a password with a separator.
      {"http://me@corp.com:pa/ss@host/x", "http://redacted@host/x"},
      {"/x?u=http://me@corp.com:pa?ss@host/y", "/x?u=http://redacted@host/y"},
      {"/x?u=http://me@corp.com:pa&ss@host/y", "/x?u=http://redacted@host/y"},
      {"http://me@h:80/a@b", "http://redacted@h:80/a@b"},
      {"/x?u=%2F%2Ft@h", "/x?u=%2F%2Fredacted@h"},
      {"/x?u=%2f%2Ft%40h&a=b@c", "/x?u=%2f%2Fredacted%40h&a=b@c"},
      // A token alone.
      {"http:/t@h/x", "http:/redacted@h/x"},
      {"http:////t@h/x", "http:////redacted@h/x"},
      {"//t@h", "//redacted@h"},
      {"http://a/http://t@h/x", "http://a/http://redacted@h/x"},
      {"http://t%40h/x", "http://redacted%40h/x"},
      // What a password may not have unescaped.
      {"http://u:p/w@h/x", "http://redacted@h/x"},
      {"http://u:/w@h/x", "http://redacted@h/x"},
      {"http://u:p?w@h/x", "http://redacted@h/x"},
      {"http://u:p?sig=w@h/x", "http://redacted?sig=redacted"},
      {"http://u:p#w@h/x", "http://redacted#redacted"},
      {"http://u:p&w;z@h/x", "http://redacted@h/x"},
      {"http://u:1:2/w@h/x", "http://redacted@h/x"},
      {"http://u:123456/w@h/x", "http://redacted@h/x"},
      {"//u:p/w@h", "//redacted@h"},
      // In a query.
      {"/x?url=http://u:p@h/y&z=1", "/x?url=http://redacted@h/y&z=1"},
      {"/x?url=http://u:p?w@h/y&z=1", "/x?url=http://redacted@h/y&z=1"},
      {"/x?url=http://u:p&w@h/y&z=1", "/x?url=http://redacted@h/y&z=1"},
      {"/x?url=//t@h/y", "/x?url=//redacted@h/y"},
      {"/x?url=http%3a%2f%2fu%3ap%40h%2fy;z=1", "/x?url=redacted%40h%2fy;z=1"},
      {"/x?http://u:p@h/y", "/x?http://redacted@h/y"},
      {"/x?u:p=w@h", "/x?redacted@h"},
      {"/x?a=u:p@h", "/x?a=redacted@h"},
      // No user information: as it was.
      {"http://h:80/x@y", "http://h:80/x@y"},
      {"http://[fe80::1]:80/x@y", "http://[fe80::1]:80/x@y"},
      {"http://[::1]/x@y?z=a@b", "http://[::1]/x@y?z=a@b"},
      {"/x/a@b:c", "/x/a@b:c"},
      {"/a:b/c@d", "/a:b/c@d"},
      {"/x?resource=https://vault/a&t=12:30", "/x?resource=https://vault/a&t=12:30"},
      {"/x?mail=a@b&path=/c@d&h=http://h:80/", "/x?mail=a@b&path=/c@d&h=http://h:80/"},
      {"http://h", "http://h"},
      {"http:", "http:"},
      {"/:@", "/redacted@"},
  };
  for (const auto& [target, expected] : cases) {
    std::string scratch = "left over";
    EXPECT_EQ(redact_target(target, scratch), expected);
  }
}

TEST(Redact, UserInformationOfATargetThatWasCut) {
  std::string scratch;
  EXPECT_EQ(redact_target("http://u:" + std::string(kMaxTarget - 9, 'p'), scratch), "http://redacted");
  EXPECT_EQ(redact_target(std::string(kMaxTarget, 'p'), scratch), "redacted");
  const std::string path = "http://h/" + std::string(kMaxTarget - 9, 'p');
  EXPECT_EQ(redact_target(path, scratch), path);
  for (const std::string begin : {"/x?url=http://u:", "http:/u:", "/x/u:", "http://u:p/"}) {
    const std::string_view kept = redact_target(begin + std::string(kMaxTarget - begin.size(), 'p'), scratch);
    EXPECT_TRUE(kept.ends_with("redacted")) << kept;
    EXPECT_FALSE(kept.contains("pp")) << kept;
  }
}

// Who makes a target of nothing but separators shall not keep the writer busy.
TEST(Redact, WhatFollowsMorePiecesThanAnybodySends) {
  std::string scratch;
  for (const std::string piece : {"/a:", "//%3a"}) {
    std::string target;
    while (target.size() + piece.size() < kMaxTarget) {
      target += piece;
    }
    const std::string_view kept = redact_target(target, scratch);
    EXPECT_TRUE(kept.ends_with("redacted")) << kept;
    EXPECT_LT(kept.size(), 64 * (piece.size() + 9)) << kept;
  }
  std::string many = "/x:y";
  for (int i = 0; i < 62; ++i) {
    many += i % 2 == 0 ? "/a" : "?a";
  }
  EXPECT_EQ(redact_target(many, scratch), many) << "as many as anybody sends";
  std::string plain = "/a";
  while (plain.size() < kMaxTarget) {
    plain += "/a";
  }
  EXPECT_EQ(redact_target(plain, scratch), plain);
}

/// The target with what is percent-encoded in the clear.
std::string in_clear(std::string text) {
  for (const auto& [code, c] : {std::pair("%3A", ":"), std::pair("%40", "@")}) {
    for (std::size_t at = text.find(code); at != std::string::npos; at = text.find(code)) {
      text.replace(at, 3, c);
    }
  }
  return text;
}

/// Whether somewhere between two of "/?#&;" a name and a password stand before an "@".
bool has_password(const std::string& target) {
  std::string piece;
  for (const char c : in_clear(target) + "/") {
    if (!std::string_view("/?#&;").contains(c)) {
      piece += c;
      continue;
    }
    const std::size_t at = piece.rfind('@');
    if (at != std::string::npos && piece.find(':') < at) {
      return true;
    }
    piece.clear();
  }
  return false;
}

// A target of any bytes that matter: nothing of what is replaced stays, what is replaced is replaced once, and a line
// has room for it.
TEST(Redact, AnyTarget) {
  constexpr std::array<std::string_view, 19> kPieces{"#", "?",        "/",    "@",   ":",   "&",     ";",
                                                     "=", "://",      ":/",   "//",  "sig", "%73ig", "http",
                                                     "a", "redacted", "u:p@", "%3A", "%40"};
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same cases every time
  for (int i = 0; i < 20000; ++i) {
    std::string target;
    for (std::uint32_t pieces = random() % 12; pieces != 0; --pieces) {
      target += kPieces[random() % kPieces.size()];
    }
    std::string scratch;
    const std::string once(redact_target(target, scratch));
    std::string again;
    EXPECT_EQ(redact_target(once, again), once) << target;
    EXPECT_FALSE(in_clear(once).contains("u:p")) << target << " became " << once;
    EXPECT_FALSE(has_password(once)) << target << " became " << once;
    const std::size_t fragment = target.find('#');
    ASSERT_EQ(once.find('#') == std::string::npos, fragment == std::string::npos) << target;
    if (fragment != std::string::npos) {
      EXPECT_EQ(once.substr(once.find('#')), "#redacted") << target;
      const std::string before = target.substr(0, fragment);
      EXPECT_EQ(once.substr(0, once.find('#')), redact_target(before, again)) << target;
    }
    Record record;
    record.target = target;
    EXPECT_LE(once.size(), text_bound(record)) << target;
  }
}

}  // namespace
}  // namespace msp::audit
