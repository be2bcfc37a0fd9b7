// SPDX-License-Identifier: Apache-2.0
#include "protocol/key.h"

#include <gtest/gtest.h>

#include <string>

namespace msp::protocol {
namespace {

constexpr std::string_view kGuid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
const std::string kKey = "5f1dA0" + std::string(58, '7');

std::string document(std::string_view guid, std::string_view key, std::string_view issued = "2025-04-23T12:00:00Z",
                     std::string_view scheme = "Azure-HMAC-SHA256", std::string_view more = {}) {
  return R"({"authorizationScheme":")" + std::string(scheme) + R"(","guid":")" + std::string(guid) + R"(","issued":")" +
         std::string(issued) + R"(","key":")" + std::string(key) + "\"" + std::string(more) + "}";
}

TEST(KeyDocument, IsWrittenAsTheFieldWritesIt) {
  auto key = parse_key_document(
      document(kGuid, kKey, "2025-04-23T12:00:00Z", "Azure-HMAC-SHA256", R"(,"incarnationId":3,"unknown":[])"),
      Source::kHost);
  ASSERT_TRUE(key) << key.error().text();
  EXPECT_EQ(write_key_document(*key, json::Style::kPretty).reveal(),
            "{\n  \"authorizationScheme\": \"Azure-HMAC-SHA256\",\n  \"incarnationId\": 3,\n"
            "  \"guid\": \"7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11\",\n  \"issued\": \"2025-04-23T12:00:00Z\",\n"
            "  \"key\": \"" +
                kKey + "\"\n}");
  key->incarnation_id.reset();
  EXPECT_EQ(write_key_document(*key, json::Style::kCompact).reveal(), document(kGuid, kKey));
}

TEST(KeyDocument, ReadsWhatItWrites) {
  const auto key = parse_key_document(document(kGuid, kKey), Source::kHost);
  ASSERT_TRUE(key);
  const auto again = parse_key_document(write_key_document(*key, json::Style::kPretty).reveal(), Source::kConfig);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->guid, key->guid);
  EXPECT_EQ(again->issued, key->issued);
  EXPECT_TRUE(again->key_hex == key->key_hex);
  ASSERT_TRUE(again->key());
  EXPECT_EQ(again->key()->size(), kKeyBytes);
}

TEST(KeyDocument, RefusesWhatTheFieldTakesUnchecked) {
  const auto refused = [](const std::string& text) {
    const auto key = parse_key_document(text, Source::kHost);
    EXPECT_TRUE(key || key.error().message.find(kKey) == std::string::npos) << "the error quotes the key";
    return !key;
  };
  EXPECT_FALSE(refused(document(kGuid, kKey)));
  EXPECT_FALSE(refused(document(kGuid, kKey, "2025-04-23 T12:00:00Z")));  // blank inside: seen in the field
  EXPECT_TRUE(refused(document("../../etc/passwd", kKey)));
  EXPECT_TRUE(refused(document("", kKey)));
  EXPECT_TRUE(refused(document(std::string(kGuid) + ".x", kKey)));
  EXPECT_TRUE(refused(document(kGuid, kKey.substr(1))));
  EXPECT_TRUE(refused(document(kGuid, kKey + "00")));
  EXPECT_TRUE(refused(document(kGuid, "Y" + kKey.substr(1))));
  EXPECT_TRUE(refused(document(kGuid, "")));
  EXPECT_TRUE(refused(document(kGuid, kKey, "")));
  EXPECT_TRUE(refused(document(kGuid, kKey, std::string(65, '2'))));
  EXPECT_TRUE(refused(document(kGuid, kKey, "2025\\n")));
  EXPECT_TRUE(refused(document(kGuid, kKey, "2025", "HMAC-MD5")));
  EXPECT_TRUE(refused(document(kGuid, kKey, "2025", "Azure-HMAC-SHA256", R"(,"key":"00")")));
  EXPECT_TRUE(refused(document(kGuid, kKey, "2025", "Azure-HMAC-SHA256", R"(,"incarnationId":-1)")));
  EXPECT_TRUE(refused(document(kGuid, kKey, "2025", "Azure-HMAC-SHA256", R"(,"incarnationId":"1")")));
  EXPECT_TRUE(refused(document(kGuid, kKey) + "x"));
  EXPECT_TRUE(refused("[]"));
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(
      refused(document(kGuid, kKey, "2025", "Azure-HMAC-SHA256", ",\"pad\":\"" + std::string(20000, 'x') + "\"")));
}

}  // namespace
}  // namespace msp::protocol
