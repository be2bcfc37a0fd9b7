// SPDX-License-Identifier: Apache-2.0
#include "agent/snapshot.h"

#include <gtest/gtest.h>

namespace msp::agent {
namespace {

std::optional<std::uint64_t> overloaded_ago_s(std::uint64_t last_ms, std::int64_t now_ms) {
  proxy::Counters counters;
  counters.overloaded_ms = last_ms;
  SnapshotParts parts;
  parts.counters = &counters;
  parts.boot_ms = now_ms;
  return make_snapshot(parts).overloaded_ago_s;
}

// In seconds: docs/status.md lets it stand for a minute.
TEST(Snapshot, SaysHowLongAgoAllPlacesWereTaken) {
  EXPECT_EQ(overloaded_ago_s(0, 90'000), std::nullopt) << "never";
  EXPECT_EQ(overloaded_ago_s(1'000, 1'000), 0U);
  EXPECT_EQ(overloaded_ago_s(1'000, 60'999), 59U);
  EXPECT_EQ(overloaded_ago_s(1'000, 61'000), 60U);
  EXPECT_EQ(overloaded_ago_s(1'001, 1'000), 0U) << "counted since the time was read";
}

TEST(Snapshot, OverloadIsAProblemForAMinute) {
  proxy::Counters counters;
  counters.overloaded_ms = 1'000;
  SnapshotParts parts;
  parts.counters = &counters;
  const auto is_said = [&](std::int64_t now_ms) {
    parts.boot_ms = now_ms;
    for (const status::Problem& problem : status::problems_of(make_snapshot(parts))) {
      if (problem.what.contains("(overloaded)")) {
        return true;
      }
    }
    return false;
  };
  EXPECT_TRUE(is_said(2'000));
  EXPECT_TRUE(is_said(60'000));
  EXPECT_FALSE(is_said(61'000));
}

}  // namespace
}  // namespace msp::agent
