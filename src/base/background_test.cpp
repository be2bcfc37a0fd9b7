// SPDX-License-Identifier: Apache-2.0
#include "base/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

namespace msp {
namespace {

TEST(Background, WhoPostsGoesOnAndTheOrderStays) {
  std::promise<void> thaw;
  std::shared_future<void> thawed = thaw.get_future().share();
  std::vector<int> done;
  Background background("test", 3);
  std::promise<void> begun;
  EXPECT_TRUE(background.post([&] {
    begun.set_value();
    thawed.wait();
    done.push_back(0);
  }));
  begun.get_future().wait();
  for (int i = 1; i <= 3; ++i) {
    EXPECT_TRUE(background.post([&done, i] { done.push_back(i); }));
  }
  EXPECT_FALSE(background.post([&done] { done.push_back(4); })) << "the first one stands still, three wait";
  thaw.set_value();
  background.finish();
  EXPECT_EQ(done, (std::vector{0, 1, 2, 3}));
  EXPECT_TRUE(background.post([&done] { done.push_back(5); }));
  EXPECT_EQ(done.back(), 5) << "at once";
}

TEST(Background, WhatWaitsIsDoneBeforeItGoes) {
  std::atomic<int> done = 0;
  {
    Background background("test", 100);
    for (int i = 0; i < 100; ++i) {
      background.post([&done] { ++done; });
    }
  }
  EXPECT_EQ(done, 100);
}

}  // namespace
}  // namespace msp
