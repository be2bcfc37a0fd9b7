// SPDX-License-Identifier: Apache-2.0
#include "base/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace msp {
namespace {

Task<int> answer() { co_return 42; }

Task<int> sum_of_many(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) {
    auto one = co_await answer();
    sum += one;
  }
  co_return sum;
}

struct Gate {
  std::coroutine_handle<> waiter;
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) { waiter = handle; }
  void await_resume() const {}
};

Task<std::unique_ptr<std::string>> through(Gate& gate) {
  co_await gate;
  co_return std::make_unique<std::string>("through");
}

Task<> outer(Gate& gate, std::string& out) {
  auto text = co_await through(gate);
  out = *text;
}

TEST(Task, RunsEagerlyAndYieldsItsValue) {
  auto task = answer();
  EXPECT_TRUE(task.done());
}

TEST(Task, AMillionImmediateAwaitsUseNoStack) {
  int sum = 0;
  auto driver = [&sum]() -> Task<> {
    auto got = co_await sum_of_many(1'000'000);
    sum = got;
  }();
  EXPECT_TRUE(driver.done());
  EXPECT_EQ(sum, 42'000'000);
}

TEST(Task, ResumesItsWaiterWithAMoveOnlyValue) {
  Gate gate;
  std::string out;
  auto task = outer(gate, out);
  EXPECT_FALSE(task.done());
  gate.waiter.resume();
  EXPECT_TRUE(task.done());
  EXPECT_EQ(out, "through");
}

TEST(Task, DetachedFrameFreesItselfAtTheEnd) {
  auto alive = std::make_shared<int>(1);
  Gate gate;
  [](Gate& g, std::shared_ptr<int>) -> Task<> { co_await g; }(gate, alive).detach();
  EXPECT_EQ(alive.use_count(), 2);
  gate.waiter.resume();
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(Task, DestroyingAnUnfinishedTaskDestroysItsFrame) {
  auto alive = std::make_shared<int>(1);
  Gate gate;
  {
    auto task = [](Gate& g, std::shared_ptr<int>) -> Task<> { co_await g; }(gate, alive);
    EXPECT_EQ(alive.use_count(), 2);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace msp
