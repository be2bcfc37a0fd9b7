// SPDX-License-Identifier: Apache-2.0
// Driving a Loop in tests: bounded waiting, and a socket pair with one end on the loop.
// Tests only; one thread.
// A condition that does not come true fails the test.
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include "base/stream.h"

namespace msp::test {

inline void run_until(Loop& loop, const std::function<bool()>& condition) {
  for (int turns = 0; turns < 20'000 && !condition(); ++turns) {
    loop.run_once(5);
  }
  EXPECT_TRUE(condition());
}

/// Both ends non-blocking; `peer` is for plain reads and writes of the test.
struct Pair {
  std::unique_ptr<Stream> ours;
  Fd peer;
};

inline Pair make_pair(Loop& loop) {
  int fds[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  Pair pair{nullptr, Fd(fds[1])};
  pair.ours = std::make_unique<Stream>(loop, Fd(fds[0]));
  EXPECT_TRUE(pair.ours->registered());
  return pair;
}

inline void send_all(int fd, std::string_view bytes) {
  ASSERT_EQ(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
}

/// What is there now; `closed` tells whether the other side has ended.
inline std::string receive(int fd, bool* closed = nullptr) {
  std::string out;
  char bytes[4096];
  for (;;) {
    const ssize_t n = ::recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n <= 0) {
      if (closed != nullptr) {
        *closed = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
      }
      return out;
    }
    out.append(bytes, static_cast<std::size_t>(n));
  }
}

}  // namespace msp::test
