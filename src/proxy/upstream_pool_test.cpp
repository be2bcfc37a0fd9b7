// SPDX-License-Identifier: Apache-2.0
#include "proxy/upstream_pool.h"

#include <gtest/gtest.h>

#include <atomic>

#include "tests/support/raw_peer.h"

namespace msp::proxy {
namespace {

using Connection = std::unique_ptr<UpstreamConnection>;

/// The loop runs on the test's own thread, and only while it is told to.
class Pool : public testing::Test {
 protected:
  Connection connect() {
    Connection out;
    const auto ask = [&]() -> Task<> {
      auto made = co_await pool_.connect(Service::kImds, loop_.after_ms(5000));
      EXPECT_TRUE(made.ok());
      out = made ? std::move(*made) : nullptr;
      loop_.stop();
    };
    const Task<> asking = ask();
    loop_.run();
    return out;
  }
  void run_until(const std::function<bool()>& condition) {
    const auto look = [&]() -> Task<> {
      for (int i = 0; i < 1000 && !condition(); ++i) {
        co_await loop_.sleep_until(loop_.after_ms(5));
      }
      loop_.stop();
    };
    const Task<> looking = look();
    loop_.run();
  }

  std::atomic<bool> close_ = false;
  test::RawOrigin origin_{[this](test::RawOrigin& self, int socket) {
    while (!close_ && !self.stopped()) {
      test::wait_for(socket, POLLIN, 5);
    }
  }};
  Loop loop_;
  PlainDialer dialer_;
  UpstreamPool pool_{loop_, dialer_, {origin_.endpoint(), origin_.endpoint(), origin_.endpoint()}};
};

TEST_F(Pool, AConnectionThatTheHostClosesIsDroppedAtOnce) {
  pool_.give_back(connect());
  pool_.give_back(connect());
  EXPECT_EQ(pool_.idle_count(), 2U);
  close_ = true;
  run_until([&] { return pool_.idle_count() == 0; });
  EXPECT_EQ(pool_.idle_count(), 0U);
}

TEST_F(Pool, TheIdleOfAServiceHaveABound) {
  std::vector<Connection> lent;
  for (std::size_t i = 0; i < UpstreamPool::kMaxIdlePerService + 2; ++i) {
    lent.push_back(connect());
    ASSERT_NE(lent.back(), nullptr);
  }
  for (Connection& connection : lent) {
    pool_.give_back(std::move(connection));
  }
  EXPECT_EQ(pool_.idle_count(), UpstreamPool::kMaxIdlePerService);
  pool_.close_idle();
  EXPECT_EQ(pool_.idle_count(), 0U);
}

}  // namespace
}  // namespace msp::proxy
