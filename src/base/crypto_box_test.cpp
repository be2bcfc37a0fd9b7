// SPDX-License-Identifier: Apache-2.0
#include "base/crypto_box.h"

#include <gtest/gtest.h>

namespace msp {
namespace {

const std::string_view kPlain = "a key of thirty-two bytes, or so";
const std::string_view kContext = "what it belongs to";

Secret private_key(char fill) { return Secret::copy_of(std::string_view(std::string(kBoxKeySize, fill))); }

// RFC 7748, section 6.1.
TEST(CryptoBox, PublicKeyOfTheStandard) {
  const auto alice = Secret::from_hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
  ASSERT_TRUE(alice);
  const auto known = box_public_key(*alice);
  ASSERT_TRUE(known);
  EXPECT_EQ(hex_encode(*known), "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
}

TEST(CryptoBox, OnlyTheRecipientOpens) {
  const Secret mine = private_key('a');
  const auto to = box_public_key(mine);
  ASSERT_TRUE(to);
  const auto box = box_seal(*to, as_bytes(kPlain), as_bytes(kContext));
  ASSERT_TRUE(box);
  const auto opened = box_open(mine, *box, as_bytes(kContext));
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(opened->reveal(), kPlain);
  EXPECT_FALSE(box_open(private_key('b'), *box, as_bytes(kContext)));
  EXPECT_FALSE(box_open(mine, *box, as_bytes("another machine")));
}

TEST(CryptoBox, NoTwoAreAlike) {
  const auto to = box_public_key(private_key('a'));
  ASSERT_TRUE(to);
  EXPECT_NE(*box_seal(*to, as_bytes(kPlain), {}), *box_seal(*to, as_bytes(kPlain), {}));
}

TEST(CryptoBox, EveryByteCounts) {
  const Secret mine = private_key('a');
  const auto to = box_public_key(mine);
  ASSERT_TRUE(to);
  const auto box = box_seal(*to, as_bytes(kPlain), as_bytes(kContext));
  ASSERT_TRUE(box);
  for (std::size_t i = 0; i < box->size(); ++i) {
    auto changed = *box;
    changed[i] ^= 1;
    EXPECT_FALSE(box_open(mine, changed, as_bytes(kContext))) << i;
    EXPECT_FALSE(box_open(mine, Bytes(*box).first(i), as_bytes(kContext))) << i;
  }
}

TEST(CryptoBox, PublicKeysThatMakeOneSecretForAllAreRefused) {
  BoxPublicKey nothing{};
  EXPECT_FALSE(box_seal(nothing, as_bytes(kPlain), {}));
}

}  // namespace
}  // namespace msp
