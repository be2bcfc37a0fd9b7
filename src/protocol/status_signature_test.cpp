// SPDX-License-Identifier: Apache-2.0
#include "protocol/status_signature.h"

#include <gtest/gtest.h>

#include <vector>

namespace msp::protocol {
namespace {

const std::string kNonce = "000102030405060708090a0b0c0d0e0f1011121314151617";
const std::string kGuid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";

HmacSha256 mac(char fill = 'k') {
  const auto secret = status_secret(Secret::copy_of(std::string_view(std::string(32, fill))));
  EXPECT_TRUE(secret);
  return *HmacSha256::create(*secret);
}

TEST(StatusSignature, FormsAreReadAsTheyAreWrittenAndNothingElseIs) {
  const SignRequest request{.nonce = kNonce, .guid = kGuid};
  const auto read = parse_sign_request(format_sign_request(request));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->nonce, kNonce);
  EXPECT_EQ(read->run(), kNonce.substr(0, 16));
  EXPECT_EQ(read->guid, kGuid);
  const SignRequest two{.nonce = kNonce, .guid = kGuid, .linked = "11111111-2222-4333-8444-555555555555"};
  const auto both = parse_sign_request(format_sign_request(two));
  ASSERT_TRUE(both);
  EXPECT_EQ(both->guid, kGuid);
  EXPECT_EQ(both->linked, two.linked);
  const StatusSignature signature{.guid = kGuid, .signature = {1, 2, 3}};
  const auto back = parse_status_signature(format_status_signature(signature));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->guid, kGuid);
  EXPECT_EQ(back->signature, signature.signature);
  for (const std::string& text :
       {std::string(), kNonce, kNonce + " ", kNonce + "  " + kGuid, kNonce + " " + kGuid + " ", kGuid + " " + kNonce,
        kNonce.substr(1) + " " + kGuid, "G" + kNonce.substr(1) + " " + kGuid, "A" + kNonce.substr(1) + " " + kGuid,
        kNonce + " x", kNonce + " " + kGuid + " x", kNonce + " " + kGuid + "  " + kGuid,
        kNonce + " " + kGuid + " " + kGuid + " ", kNonce + " " + kGuid + " " + kGuid + " " + kGuid}) {
    EXPECT_FALSE(parse_sign_request(text)) << text;
  }
  const std::string digits(64, 'a');
  ASSERT_TRUE(parse_status_signature(kGuid + " " + digits));
  for (const std::string& text : {std::string(), kGuid, kGuid + " " + digits.substr(1), kGuid + " " + digits + "a",
                                  kGuid + " A" + digits.substr(1), "x " + digits, digits}) {
    EXPECT_FALSE(parse_status_signature(text)) << text;
  }
}

// Made by another implementation: python3 -c 'import hmac, hashlib as h; s = hmac.new(b"k"*32, b"openmsp signed status
// 1", h.sha256).digest(); print(hmac.new(s, b"openmsp status answer 1\n" + NONCE + b"\n200\nA\nB\nC\nD\nE\n{}",
// h.sha256).hexdigest())'
TEST(StatusSignature, AsDocumented) {
  auto key = mac();
  const auto digest = sign_status(key, {.nonce = kNonce,
                                        .status = 200,
                                        .asked_date = "A",
                                        .date = "B",
                                        .content_type = "C",
                                        .wait = "D",
                                        .asks = "E",
                                        .body = "{}"});
  ASSERT_TRUE(digest);
  EXPECT_EQ(hex_encode(*digest), "3083dd593fe27e6188e2882729819fd49e99555631123b789b3e966d3806712b");
}

// python3 -c '... f, l = (hmac.new(k*32, b"openmsp signed status 1", h.sha256).digest() for k in (b"k", b"l"));
// print(hmac.new(f, b"openmsp linked status 1" + l, h.sha256).hexdigest())'
TEST(StatusSignature, LinkedSecretsAreAsDocumented) {
  const auto secret = [](char fill) {
    return *status_secret(Secret::copy_of(std::string_view(std::string(32, fill))));
  };
  const auto linked = linked_secret(secret('k'), secret('l'));
  ASSERT_TRUE(linked);
  EXPECT_EQ(linked->to_hex().reveal(), "ca5f51aa76266625d06f386a44d4a71f9bcec1f2e43272b86bdb932f04fba22f");
  EXPECT_FALSE(*linked == *linked_secret(secret('l'), secret('k')));
}

TEST(StatusSignature, EveryPartCounts) {
  const SignedStatus good{.nonce = kNonce,
                          .status = 200,
                          .asked_date = "Wed, 23 Apr 2025 12:00:00 GMT",
                          .date = "Wed, 23 Apr 2025 12:00:01 GMT",
                          .content_type = "application/json",
                          .wait = "t1 30",
                          .asks = "caller",
                          .body = "{}"};
  std::vector<SignedStatus> others(8, good);
  others[0].nonce = "100102030405060708090a0b0c0d0e0f1011121314151617";
  others[1].status = 201;
  others[2].asked_date = good.date;
  others[3].date = good.asked_date;
  others[4].content_type = "application/xml";
  others[5].wait = "";
  others[6].asks = "";
  others[7].body = "{} ";
  auto key = mac();
  const auto signature = sign_status(key, good);
  ASSERT_TRUE(signature);
  EXPECT_EQ(*sign_status(key, good), *signature);
  for (std::size_t i = 0; i < others.size(); ++i) {
    EXPECT_NE(*sign_status(key, others[i]), *signature) << i;
  }
  auto another = mac('l');
  EXPECT_NE(*sign_status(another, good), *signature);
}

}  // namespace
}  // namespace msp::protocol
