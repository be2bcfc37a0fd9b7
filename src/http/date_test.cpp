// SPDX-License-Identifier: Apache-2.0
#include "http/date.h"

#include <gtest/gtest.h>
#include <time.h>

#include <random>
#include <string>

namespace msp::http {
namespace {

std::string text(std::int64_t seconds) {
  const DateText date = format_date(seconds);
  return {date.data(), date.size()};
}

TEST(Date, KnownValues) {
  EXPECT_EQ(text(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(text(1745409600), "Wed, 23 Apr 2025 12:00:00 GMT");
  EXPECT_EQ(text(951782399), "Mon, 28 Feb 2000 23:59:59 GMT");
  EXPECT_EQ(text(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(text(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
  EXPECT_EQ(text(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(text(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(text(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(Date, AgreesWithTheLibraryAndReadsBack) {
  std::mt19937_64 random(7);
  std::uniform_int_distribution<std::int64_t> any(-62'000'000'000, 253'402'300'799);
  for (int i = 0; i < 20'000; ++i) {
    const std::int64_t seconds = any(random);
    const time_t time = seconds;
    tm parts{};
    ASSERT_NE(::gmtime_r(&time, &parts), nullptr);
    char expected[64];
    ASSERT_GT(::strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S GMT", &parts), 0U);
    if (parts.tm_year + 1900 >= 1000) {
      ASSERT_EQ(text(seconds), expected);
    }
    ASSERT_EQ(parse_date(text(seconds)), seconds);
  }
}

TEST(Date, TakesThisFormOnly) {
  for (const std::string_view bad : {"",
                                     "Wed, 23 Apr 2025 12:00:00",
                                     "Wed, 23 Apr 2025 12:00:00 UTC",
                                     "wed, 23 Apr 2025 12:00:00 GMT",
                                     "Wed, 23 apr 2025 12:00:00 GMT",
                                     "Thu, 23 Apr 2025 12:00:00 GMT",
                                     "Wed, 23 Apr 2025 24:00:00 GMT",
                                     "Wed, 23 Apr 2025 12:60:00 GMT",
                                     "Wed, 23 Apr 2025 12:00:60 GMT",
                                     "Wed,  3 Apr 2025 12:00:00 GMT",
                                     "Wed, 23 Apr 2025 12:00:00 GMT ",
                                     " Wed, 23 Apr 2025 12:00:00 GMT",
                                     "Wed, 23 Apr 2025T12:00:00 GMT",
                                     "Wed, 23-Apr-2025 12:00:00 GMT",
                                     "Wednesday, 23-Apr-25 12:00:00 GMT",
                                     "Wed Apr 23 12:00:00 2025",
                                     "Sat, 29 Feb 2025 12:00:00 GMT",
                                     "Wed, 31 Apr 2025 12:00:00 GMT",
                                     "Wed, 00 Apr 2025 12:00:00 GMT",
                                     "Wed, 23 anF 2025 12:00:00 GMT",
                                     "Wed, -3 Apr 2025 12:00:00 GMT",
                                     "Wed, 23 Apr +025 12:00:00 GMT",
                                     "Wed, 23 Apr 2025 12:00:00 GM\0"}) {
    EXPECT_FALSE(parse_date(bad)) << bad;
  }
}

TEST(Date, CacheFollowsTheClock) {
  DateCache cache;
  EXPECT_EQ(cache.text(0), text(0));
  EXPECT_EQ(cache.text(0), text(0));
  EXPECT_EQ(cache.text(-1), text(-1));
  EXPECT_EQ(cache.text(86'400), text(86'400));
}

}  // namespace
}  // namespace msp::http
