// SPDX-License-Identifier: Apache-2.0
#include "base/crypto_sign.h"

#include <gtest/gtest.h>

namespace msp {
namespace {

constexpr SignatureAlgorithm kBoth[] = {SignatureAlgorithm::kRs256, SignatureAlgorithm::kEs256};

TEST(SigningKey, ComesBackFromItsFileTheSame) {
  for (const SignatureAlgorithm algorithm : kBoth) {
    const auto key = SigningKey::generate(algorithm);
    ASSERT_TRUE(key) << key.error().text();
    const auto pem = key->to_pem();
    ASSERT_TRUE(pem);
    const auto again = SigningKey::from_pem(*pem, algorithm);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(again->public_jwk(), key->public_jwk());
    EXPECT_EQ(again->thumbprint().size(), 43U);
    const auto other = algorithm == kBoth[0] ? kBoth[1] : kBoth[0];
    EXPECT_FALSE(SigningKey::from_pem(*pem, other)) << "a key of another kind";
    EXPECT_FALSE(SigningKey::from_pem(Secret::copy_of(pem->reveal().substr(0, pem->size() / 2)), algorithm));
  }
}

TEST(SigningKey, SignsInTheFormOfJws) {
  // Whether they verify, an independent implementation says: tests/netns/test_tokens.py.
  for (const SignatureAlgorithm algorithm : kBoth) {
    const auto key = SigningKey::generate(algorithm);
    const auto signature = key->sign("text");
    ASSERT_TRUE(signature);
    EXPECT_EQ(signature->size(), algorithm == SignatureAlgorithm::kRs256 ? 256U : 64U);
  }
}

TEST(Base64Url, HasNoPaddingAndItsOwnLetters) {
  EXPECT_EQ(base64url_encode(as_bytes("\xFB\xFF\xFE")), "-__-");
  EXPECT_EQ(base64url_encode(as_bytes("a")), "YQ");
  EXPECT_EQ(base64url_encode({}), "");
}

}  // namespace
}  // namespace msp
