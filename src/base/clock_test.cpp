// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <string_view>

namespace msp {
namespace {

TEST(Clock, Timestamps) {
  EXPECT_EQ(timestamp_ms(0), "1970-01-01T00:00:00.000");
  EXPECT_EQ(timestamp_us(1745409600123456789), "2025-04-23T12:00:00.123456Z");
  EXPECT_EQ(timestamp_ms(1745409600123456789), "2025-04-23T12:00:00.123");
  EXPECT_EQ(timestamp_us(-1), "1969-12-31T23:59:59.999999Z");
}

TEST(Clock, TheWriterOfManyTimestampsSaysTheSame) {
  TimestampWriter writer;
  std::array<char, TimestampWriter::kMostBytes> room{};
  for (const std::int64_t ns : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1'745'409'600'123'456'789},
                                std::int64_t{1'745'409'600'000'000'999}, std::int64_t{1'745'409'599'999'999'999},
                                std::int64_t{1'745'409'600'900'000'000}, std::numeric_limits<std::int64_t>::max(),
                                std::numeric_limits<std::int64_t>::min()}) {
    const char* const end = writer.write(room.data(), ns);
    EXPECT_EQ(std::string_view(room.data(), static_cast<std::size_t>(end - room.data())), timestamp_us(ns)) << ns;
  }
}

TEST(Clock, TheRealOneRuns) {
  const SystemClock clock;
  const auto a = clock.boottime_ns();
  EXPECT_GE(clock.boottime_ns(), a);
  EXPECT_GT(clock.realtime_ns(), 1'600'000'000'000'000'000);
}

TEST(Clock, TheFakeOneIsMoved) {
  FakeClock clock(1'000'000'000, 5'000'000);
  clock.advance_ms(7);
  EXPECT_EQ(clock.boottime_ms(), 12U);
  EXPECT_EQ(clock.realtime_ns(), 1'007'000'000);
  clock.step_realtime_ns(-1'007'000'000);
  EXPECT_EQ(clock.realtime_ns(), 0);
  EXPECT_EQ(clock.boottime_ms(), 12U);
}

}  // namespace
}  // namespace msp
