// SPDX-License-Identifier: Apache-2.0
#include "http/token.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace msp::http {
namespace {

constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";

bool expected_token(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != 0 && kTokenMarks.contains(static_cast<char>(c)));
}

/// Every byte at every place of texts around the size of a word: the quick way and the slow one must agree.
template <class Check>
void for_each_byte_at_each_place(Check check) {
  for (const std::size_t size : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 8U, 9U, 15U, 16U, 17U, 19U}) {
    for (std::size_t at = 0; at < size; ++at) {
      for (unsigned byte = 0; byte < 256; ++byte) {
        SCOPED_TRACE(std::to_string(byte) + " at " + std::to_string(at) + " of " + std::to_string(size));
        std::string text(size, 'm');
        text[at] = static_cast<char>(byte);
        check(text, at, static_cast<unsigned char>(byte));
      }
    }
  }
}

TEST(Token, LowerNameForEveryByteAtEveryPlace) {
  for_each_byte_at_each_place([](const std::string& name, std::size_t at, unsigned char byte) {
    std::array<char, 32> out{};
    const bool good = write_lower_token(out.data(), name);
    ASSERT_EQ(good, expected_token(byte));
    std::string lower = name;
    if (byte >= 'A' && byte <= 'Z') {
      lower[at] = static_cast<char>(byte + 32);
    }
    if (good) {
      ASSERT_EQ(std::string_view(out.data(), name.size()), lower);
    }
    ASSERT_EQ(out[name.size()], 0) << "nothing behind the name is touched";
  });
}

TEST(Token, AnEmptyNameIsNone) {
  char out = 0;
  EXPECT_FALSE(write_lower_token(&out, ""));
}

TEST(Token, OneLineForEveryByteAtEveryPlace) {
  for_each_byte_at_each_place([](const std::string& text, std::size_t /*at*/, unsigned char byte) {
    ASSERT_EQ(is_one_line(text), byte != '\r' && byte != '\n' && byte != 0);
  });
  EXPECT_TRUE(is_one_line(""));
}

}  // namespace
}  // namespace msp::http
