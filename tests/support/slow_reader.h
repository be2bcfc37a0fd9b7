// SPDX-License-Identifier: Apache-2.0
// A client that takes the first part of what it asked for slowly and the rest at once, and a listener with whose queue
// that matters: the kernel tells of room when a third of it is free, and to take as much takes this client two seconds.
// Loopback only; any thread.
// Failures are gtest failures; every wait has a bound.
#pragma once

#include <string>
#include <string_view>
#include <thread>

#include "tests/support/raw_peer.h"

namespace msp::test {

/// The kernel takes twice `bytes`, for what it keeps beside them.
inline void set_buffer(const Fd& socket, int which, int bytes) {
  EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, which, &bytes, sizeof(bytes)), 0);
}

/// What it accepts has a queue of 256 KB.
inline Fd listener_with_a_queue() {
  auto listener = make_tcp_socket();
  EXPECT_TRUE(bind_and_listen(*listener, {{127, 0, 0, 1}, 0}, 4).ok());
  set_buffer(*listener, SO_SNDBUF, 128 << 10);
  return *std::move(listener);
}

inline std::size_t count(std::string_view text, std::string_view what) {
  std::size_t out = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) {
    ++out;
  }
  return out;
}

/// Sends `asks`, then reads 100 KB at 40 KB/s and what is left at once, until `what` has come `times`, the peer has
/// closed, or nothing came for three seconds: how often it came.
inline std::size_t taken_slowly(const Ipv4Endpoint& from, std::string_view asks, std::string_view what,
                                std::size_t times) {
  constexpr std::size_t kSlowly = 100'000;
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  set_buffer(socket, SO_RCVBUF, 8 << 10);
  EXPECT_TRUE(begin_connect(socket, from).ok());
  const std::jthread sender([&] { RawOrigin::say(socket.get(), asks); });
  std::string got;
  while (count(got, what) < times && wait_for(socket.get(), POLLIN, 3'000)) {
    const bool slowly = got.size() < kSlowly;
    std::string piece(slowly ? 2'000 : 65'536, '\0');
    const ssize_t n = ::recv(socket.get(), piece.data(), piece.size(), 0);
    if (n <= 0) {
      break;
    }
    got += piece.substr(0, static_cast<std::size_t>(n));
    if (slowly) {
      ::usleep(50'000);
    }
  }
  ::shutdown(socket.get(), SHUT_RDWR);
  return count(got, what);
}

}  // namespace msp::test
