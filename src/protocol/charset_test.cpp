// SPDX-License-Identifier: Apache-2.0
#include "protocol/charset.h"

#include <gtest/gtest.h>

#include <string>

namespace msp::protocol {
namespace {

std::string wide(std::u16string_view text) {
  std::string out;
  for (const char16_t c : text) {
    out += static_cast<char>(c & 0xFF);
    out += static_cast<char>(c >> 8);
  }
  return out;
}

TEST(Charset, Utf16IsLittleEndian) {
  EXPECT_EQ(text_of_body(wide(u"a\u00e9\u4e2d\U0001F600z"), "x; charset=UTF-16").value(), "aé中😀z");
}

TEST(Charset, LoneSurrogatesAreReplaced) {
  const std::u16string high{u'a', 0xD83D, u'b'};
  const std::u16string low{0xDE00, u'b'};
  const std::u16string last{u'a', 0xD83D};
  EXPECT_EQ(text_of_body(wide(high), "utf-16").value(), "a\uFFFDb");
  EXPECT_EQ(text_of_body(wide(low), "utf-16").value(), "\uFFFDb");
  EXPECT_EQ(text_of_body(wide(last), "utf-16").value(), "a\uFFFD");
}

TEST(Charset, RefusesWhatItCannotRead) {
  EXPECT_FALSE(text_of_body("abc", "application/json; charset=utf-16"));
  EXPECT_FALSE(text_of_body("abcd", "application/json; charset=UTF-32"));
  EXPECT_FALSE(text_of_body("<a/>", "Text/XML"));
  EXPECT_EQ(text_of_body("abc\xFF", "").value(), "abc\xFF");
}

}  // namespace
}  // namespace msp::protocol
