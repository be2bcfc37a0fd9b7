// SPDX-License-Identifier: Apache-2.0
#include "gateway/askers.h"

#include <gtest/gtest.h>

namespace msp::gateway {
namespace {

TEST(Askers, AnAgentThatIsRestartedAgainAndAgainIsOne) {
  Askers askers;
  for (int run = 0; run < 100; ++run) {
    for (int poll = 0; poll < 3; ++poll) {
      askers.asked(std::to_string(run), run);
    }
  }
  EXPECT_EQ(askers.returns(), 0U);
}

TEST(Askers, ALateRequestOfTheRunBeforeIsNoSecondAgent) {
  Askers askers;
  for (const char* run : {"a", "b", "a", "b", "b"}) {
    askers.asked(run, 1);
    if (askers.returns() == 1) {
      EXPECT_FALSE(askers.two_at_once());
    }
  }
  EXPECT_TRUE(askers.two_at_once()) << "the other one came back as well";
}

TEST(Askers, TwoThatTakeTurnsAreSeen) {
  Askers askers;
  for (int i = 0; i < 4; ++i) {
    askers.asked("a", i);
    askers.asked("b", i);
  }
  EXPECT_TRUE(askers.two_at_once());
  EXPECT_EQ(askers.returns(), 6U);
  EXPECT_EQ(askers.last_ns(), 3);
}

TEST(Askers, AFloodOfRunsIsForgotten) {
  Askers askers;
  askers.asked("a", 1);
  for (std::size_t i = 0; i < 2 * Askers::kMost; ++i) {
    askers.asked(std::to_string(i), 1);
  }
  askers.asked("a", 1);
  EXPECT_EQ(askers.returns(), 0U);
}

}  // namespace
}  // namespace msp::gateway
