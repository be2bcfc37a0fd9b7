// SPDX-License-Identifier: Apache-2.0
#include "base/crypto.h"

#include <gtest/gtest.h>

#include <set>

namespace msp {
namespace {

std::string mac_hex(std::string_view key, std::string_view message) {
  auto mac = HmacSha256::create(as_bytes(key));
  auto out = mac->sign(message);
  return hex_encode(*out);
}

// RFC 4231.
TEST(Hmac, StandardVectors) {
  EXPECT_EQ(mac_hex(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(mac_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(mac_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Hmac, OneContextManyMessagesInPieces) {
  auto mac = HmacSha256::create(as_bytes("Jefe"));
  ASSERT_TRUE(mac);
  for (int round = 0; round < 3; ++round) {
    mac->start();
    mac->update("forgotten");
    mac->start();
    mac->update("what do ya want ");
    mac->update("");
    mac->update("for nothing?");
    auto out = mac->finish();
    ASSERT_TRUE(out);
    EXPECT_EQ(hex_encode(*out), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  }
  EXPECT_FALSE(mac->finish()) << "finish without start";
  HmacSha256 moved = std::move(*mac);
  EXPECT_TRUE(moved.sign(""));
}

TEST(Hmac, RefusesAnEmptyKey) { EXPECT_FALSE(HmacSha256::create(Bytes{})); }

TEST(Crypto, Sha256) {
  EXPECT_EQ(hex_encode(*sha256(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex_encode(*sha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(Crypto, ConstantTimeEqual) {
  EXPECT_TRUE(constant_time_equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("ab")));
  EXPECT_TRUE(constant_time_equal({}, {}));
}

TEST(Crypto, Hex) {
  EXPECT_EQ(hex_encode(as_bytes("\x01\xAB\xFF")), "01abff");
  EXPECT_EQ(hex_decode("01aBFf"), (std::vector<std::uint8_t>{0x01, 0xAB, 0xFF}));
  EXPECT_EQ(hex_decode(""), std::vector<std::uint8_t>{});
  for (const char* bad : {"0", "0g", "g0", "0x", " 1", "1 ", "@0", "`0", "G0", "\x10\x10"}) {
    EXPECT_FALSE(hex_decode(bad)) << bad;
  }
}

TEST(Crypto, Base64) {
  const std::pair<std::string_view, std::string_view> pairs[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : pairs) {
    EXPECT_EQ(base64_encode(as_bytes(plain)), text);
    const auto back = base64_decode(text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(std::string(back->begin(), back->end()), plain);
  }
  for (const char* bad :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", " Zg==", "Zg==\n", "Z===", "====", "Zm9v\n", "Zm-_", "=Zm9"}) {
    EXPECT_FALSE(base64_decode(bad)) << bad;
  }
}

TEST(Crypto, RandomBytesAndGuids) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    const std::string guid = *random_guid();
    ASSERT_EQ(guid.size(), 36U);
    EXPECT_EQ(guid[8], '-');
    EXPECT_EQ(guid[13], '-');
    EXPECT_EQ(guid[14], '4');
    EXPECT_EQ(guid[18], '-');
    EXPECT_EQ(guid[23], '-');
    EXPECT_NE(std::string_view("89ab").find(guid[19]), std::string_view::npos);
    EXPECT_TRUE(seen.insert(guid).second);
  }
  EXPECT_NE(*random_secret(32), *random_secret(32));
}

TEST(Crypto, SealAndUnseal) {
  const Secret key = *random_secret(32);
  const auto sealed = seal(key, as_bytes("the key of vm-1"), as_bytes("vm-1"));
  ASSERT_TRUE(sealed);
  EXPECT_EQ(sealed->size(), 12 + 15 + 16U);
  const auto opened = unseal(key, *sealed, as_bytes("vm-1"));
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_EQ(opened->reveal(), "the key of vm-1");
  EXPECT_NE(*sealed, *seal(key, as_bytes("the key of vm-1"), as_bytes("vm-1"))) << "a nonce is never used twice";

  EXPECT_FALSE(unseal(key, *sealed, as_bytes("vm-2")));
  EXPECT_FALSE(unseal(*random_secret(32), *sealed, as_bytes("vm-1")));
  for (std::size_t i = 0; i < sealed->size(); ++i) {
    auto altered = *sealed;
    altered[i] ^= 1;
    EXPECT_FALSE(unseal(key, altered, as_bytes("vm-1"))) << i;
    EXPECT_FALSE(unseal(key, std::span(*sealed).first(i), as_bytes("vm-1"))) << i;
  }
  EXPECT_FALSE(seal(*random_secret(16), as_bytes("x"), {}));
}

TEST(Crypto, SealsNothingToo) {
  const Secret key = *random_secret(32);
  const auto sealed = seal(key, {}, {});
  ASSERT_TRUE(sealed);
  const auto opened = unseal(key, *sealed, {});
  ASSERT_TRUE(opened);
  EXPECT_TRUE(opened->empty());
}

}  // namespace
}  // namespace msp
