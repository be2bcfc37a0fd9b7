// SPDX-License-Identifier: Apache-2.0
#include "base/loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>
#include <vector>

namespace msp {
namespace {

Task<> note_after(Loop& loop, Deadline when, std::vector<int>& order, int id) {
  co_await loop.sleep_until(when);
  order.push_back(id);
}

void run_until(Loop& loop, const std::function<bool()>& condition) {
  for (int turns = 0; turns < 10'000 && !condition(); ++turns) {
    loop.run_once(20);
  }
}

TEST(Loop, TimersFireInOrderAndNeverEarly) {
  Loop loop;
  std::vector<int> order;
  const Deadline start = loop.now();
  auto c = note_after(loop, start + 120, order, 3);
  auto a = note_after(loop, start + 20, order, 1);
  auto b = note_after(loop, start + 60, order, 2);
  run_until(loop, [&] { return order.size() == 3; });
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_GE(loop.now(), start + 120);
}

TEST(Loop, ADeadlineInThePastIsOverAtOnce) {
  Loop loop;
  std::vector<int> order;
  auto task = note_after(loop, loop.now() - 1, order, 1);
  EXPECT_TRUE(task.done());
}

TEST(Loop, DestroyedSleeperIsNeverResumed) {
  Loop loop;
  std::vector<int> order;
  {
    auto task = note_after(loop, loop.now() + 20, order, 1);
  }
  auto other = note_after(loop, loop.now() + 60, order, 2);
  run_until(loop, [&] { return other.done(); });
  EXPECT_EQ(order, std::vector<int>{2});
}

TEST(Loop, PostedWorkRunsOnTheLoopFromAnyThread) {
  Loop loop;
  int ran = 0;
  std::thread other([&] {
    for (int i = 0; i < 1000; ++i) {
      loop.post([&ran] { ++ran; });
    }
    loop.post([&loop] { loop.stop(); });
  });
  loop.run();
  other.join();
  EXPECT_EQ(ran, 1000);
}

TEST(Loop, SignalWakesAllWaitersAndTellsTimeOut) {
  Loop loop;
  Signal signal(loop);
  std::vector<bool> results;
  auto waiter = [&](Deadline until) -> Task<> {
    const bool announced = co_await signal.wait(until);
    results.push_back(announced);
  };
  auto late = waiter(loop.now() + 5000);
  auto early = waiter(loop.now() + 20);
  run_until(loop, [&] { return early.done(); });
  EXPECT_EQ(results, std::vector<bool>{false});
  signal.announce();
  run_until(loop, [&] { return late.done(); });
  EXPECT_EQ(results, (std::vector<bool>{false, true}));
}

TEST(Loop, NextTurnLetsOthersRunInBetween) {
  Loop loop;
  std::vector<int> order;
  const auto spin = [&]() -> Task<> {
    for (int i = 0; i < 3; ++i) {
      order.push_back(1);
      co_await loop.next_turn();
    }
  };
  auto greedy = spin();
  loop.post([&order] { order.push_back(2); });
  run_until(loop, [&] { return greedy.done(); });
  ASSERT_EQ(order.size(), 4U);
  EXPECT_NE(order.back(), 2);
}

TEST(Loop, WatchCallsBackUntilItIsStopped) {
  Loop loop;
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const Fd in(pipe_fds[0]);
  const Fd out(pipe_fds[1]);
  int calls = 0;
  Watch watch(loop, in.get(), [&](std::uint32_t) {
    char byte = 0;
    ASSERT_EQ(::read(in.get(), &byte, 1), 1);
    ++calls;
  });
  ASSERT_TRUE(watch.start().ok());
  ASSERT_EQ(::write(out.get(), "ab", 2), 2);
  run_until(loop, [&] { return calls == 2; });
  EXPECT_EQ(calls, 2);
  watch.stop();
  ASSERT_EQ(::write(out.get(), "c", 1), 1);
  loop.run_once(20);
  EXPECT_EQ(calls, 2);
}

}  // namespace
}  // namespace msp
