// SPDX-License-Identifier: Apache-2.0
#include "gateway/status_waits.h"

#include <gtest/gtest.h>

#include <vector>

namespace msp::gateway {
namespace {

constexpr std::uint64_t kLong = 30'000;

class StatusWaitsTest : public testing::Test {
 protected:
  Task<void>& wait(const std::string& vm, std::uint64_t ms = kLong) {
    return tasks.emplace_back(waits.hold(vm, ms, [this] { return changed; }));
  }
  void turns() {
    for (int i = 0; i < 3; ++i) {
      loop.run_once(0);
    }
  }
  Loop loop;
  StatusWaits waits{loop, 6};
  bool changed = false;
  std::vector<Task<void>> tasks;
  StatusWaitsTest() { tasks.reserve(32); }
};

TEST_F(StatusWaitsTest, AChangeOfItsMachineEndsAWaitAndNoOther) {
  Task<void>& one = wait("vm1");
  Task<void>& two = wait("vm2");
  waits.announce("vm1");
  turns();
  EXPECT_FALSE(one.done()) << "announced, but its status is what it was";
  changed = true;
  waits.announce("vm1");
  waits.announce("vm3");
  turns();
  EXPECT_TRUE(one.done());
  EXPECT_FALSE(two.done());
  EXPECT_EQ(waits.waiting(), 1U);
}

TEST_F(StatusWaitsTest, WhatHasChangedAlreadyOrIsOverDoesNotWait) {
  changed = true;
  EXPECT_TRUE(wait("vm1").done());
  changed = false;
  EXPECT_TRUE(wait("vm1", 0).done());
  Task<void>& brief = wait("vm1", 20);
  EXPECT_FALSE(brief.done());
  for (int i = 0; i < 200 && !brief.done(); ++i) {
    loop.run_once(10);
  }
  EXPECT_TRUE(brief.done());
  EXPECT_EQ(waits.waiting(), 0U);
}

TEST_F(StatusWaitsTest, AboveTheBoundsNobodyWaits) {
  for (std::size_t i = 0; i < StatusWaits::kMostForOne; ++i) {
    EXPECT_FALSE(wait("vm1").done());
  }
  EXPECT_TRUE(wait("vm1").done()) << "of one machine";
  EXPECT_FALSE(wait("vm2").done());
  EXPECT_FALSE(wait("vm3").done());
  EXPECT_TRUE(wait("vm4").done()) << "of all";
  changed = true;
  waits.announce("vm2");
  turns();
  changed = false;
  EXPECT_FALSE(wait("vm4").done()) << "a place is free again";
}

TEST_F(StatusWaitsTest, TheEndWakesAll) {
  Task<void>& one = wait("vm1");
  Task<void>& two = wait("vm2");
  waits.end();
  turns();
  EXPECT_TRUE(one.done());
  EXPECT_TRUE(two.done());
  EXPECT_TRUE(wait("vm1").done());
  EXPECT_EQ(waits.waiting(), 0U);
}

}  // namespace
}  // namespace msp::gateway
