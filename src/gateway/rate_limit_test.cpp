// SPDX-License-Identifier: Apache-2.0
#include "gateway/rate_limit.h"

#include <gtest/gtest.h>

namespace msp::gateway {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

TEST(RateLimit, LetsASecondsWorthComeAtOnceAndThenSoManyASecond) {
  RateLimit limit;
  std::uint64_t now = 50 * kSecond;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(limit.take(5, now), 0U) << i;
  }
  EXPECT_EQ(limit.take(5, now), 1U);
  now += kSecond / 5;
  EXPECT_EQ(limit.take(5, now), 0U);
  EXPECT_EQ(limit.take(5, now), 1U);
  int passed = 0;
  for (int i = 0; i < 1000; ++i) {
    now += kSecond / 100;
    passed += limit.take(5, now) == 0 ? 1 : 0;
  }
  EXPECT_EQ(passed, 50) << "in ten seconds";
  EXPECT_EQ(limit.take(5, now + 100 * kSecond), 0U);
}

TEST(RateLimit, NoneIsNone) {
  RateLimit limit;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(limit.take(0, 1), 0U);
  }
}

}  // namespace
}  // namespace msp::gateway
