// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <gtest/gtest.h>

namespace msp {
namespace {

TEST(Utf8, FindsWhatIsInvalid) {
  for (const std::string_view good : {"", "plain ascii text", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF",
                                      "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF", "12345678é"}) {
    EXPECT_EQ(utf8_invalid_at(good), std::string_view::npos) << good;
  }
  for (const std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x28\xA1"}) {
    EXPECT_EQ(utf8_invalid_at(bad), 0U) << bad;
    EXPECT_EQ(utf8_invalid_at("12345678abc" + std::string(bad)), 11U) << bad;
  }
}

TEST(Utf8, Repairs) {
  EXPECT_EQ(utf8_repair("a\xFFé\xE2\x82"), "a\xEF\xBF\xBDé\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(utf8_repair(""), "");
}

TEST(Utf8, TruncatesBetweenCharacters) {
  EXPECT_EQ(utf8_truncate("aé", 3), "aé");
  EXPECT_EQ(utf8_truncate("aé", 2), "a");
  EXPECT_EQ(utf8_truncate("é", 0), "");
  EXPECT_EQ(utf8_truncate("\xF0\x9F\x98\x80", 3), "");
  EXPECT_EQ(utf8_truncate("\x80\x80\x80\x80\x80\x80", 4).size(), 4U);
}

}  // namespace
}  // namespace msp
