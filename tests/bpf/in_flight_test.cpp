// SPDX-License-Identifier: Apache-2.0
// Connects between their SYN and the listener's child: whose they are, how many there may be, and that none is left
// behind.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "bpf/contract.h"
#include "tests/bpf/lab.h"

namespace msp::lab {
namespace {

/// Connections that a listener with a full queue leaves half way.
class InFlight : public BpfTest {
 protected:
  void SetUp() override {
    BpfTest::SetUp();
    // Half-open requests then wait at the client's end, not as cookies.
    ASSERT_TRUE(set_sysctl("net/ipv4/tcp_syncookies", "0"));
    map_ = Fd(::bpf_obj_get(lab->pin("maps/in_flight").c_str()));
    ASSERT_TRUE(map_);
  }
  int in_flight() const {
    int count = 0;
    std::array<std::uint8_t, 24> key{};
    std::array<std::uint8_t, 24> next{};
    for (const void* at = nullptr; ::bpf_map_get_next_key(map_.get(), at, next.data()) == 0; at = key.data()) {
      key = next;
      ++count;
    }
    return count;
  }
  Fd full_listener(const Ipv4Endpoint& at, std::vector<Fd>& fillers) {
    // Two wait, a third is left half way. With a backlog of 0 Linux 5.15 lets nobody in where it may give no cookies.
    auto out = interceptor->open_listener(at, 1);
    EXPECT_TRUE(out) << out.error().text();
    for (int i = 0; i < 3; ++i) {
      Fd& filler = fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      connect_socket(filler.get(), at);
      ::usleep(20000);
    }
    return std::move(*out);
  }
  /// Connects to the other services end here, where there is room.
  Fd listener_with_room() {
    auto settings = Lab::settings();
    settings.listeners.push_back(kListener2);
    settings.guarded[1].listener = 1;
    EXPECT_TRUE(interceptor->set_settings(settings));
    auto out = interceptor->open_listener(kListener2, 64);
    EXPECT_TRUE(out) << out.error().text();
    return std::move(*out);
  }
  std::int64_t of_others() const {
    const Fd map(::bpf_obj_get(lab->pin("maps/in_flight_of_others").c_str()));
    const std::uint32_t key = 0;
    std::int64_t out = -1;
    EXPECT_EQ(::bpf_map_lookup_elem(map.get(), &key, &out), 0);
    return out;
  }

 private:
  Fd map_;
};

/// Keeps the process, and what it holds, until the parent closes the writing end of the pipe.
void hold_until_closed(int reading, int writing) {
  ::close(writing);
  char byte = 0;
  static_cast<void>(::read(reading, &byte, 1));
}

void allow_many_files() {
  const rlimit enough{.rlim_cur = 4096, .rlim_max = 4096};
  ::setrlimit(RLIMIT_NOFILE, &enough);
}

int bound_connect(int fd, std::uint16_t port, const Ipv4Endpoint& to) {
  const int one = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&in), sizeof(in)) != 0) {
    return errno;
  }
  return connect_socket(fd, to);
}

TEST_F(InFlight, TwoListenersAndClientsOnTheSamePort) {
  listener.reset();
  std::vector<Fd> fillers;
  auto settings = Lab::settings();
  settings.listeners.push_back(kListener2);
  settings.guarded[1].listener = 1;
  ASSERT_TRUE(interceptor->set_settings(settings));
  const Fd first = full_listener(kListener, fillers);
  const Fd second = full_listener(kListener2, fillers);
  // Both are on their way at once, from the same address and port.
  const auto client = [&](uid_t uid, const Ipv4Endpoint& to) {
    return lab->spawn({.uid = uid, .gid = uid, .groups = {}}, [to] {
      const Fd fd(::socket(AF_INET, SOCK_STREAM, 0));
      const int failed = bound_connect(fd.get(), 40000, to);
      return failed;
    });
  };
  const int before = in_flight();
  const pid_t alice = client(12001, kImdsEndpoint);
  const pid_t bob = client(12002, kWireServerEndpoint);
  ::usleep(200000);
  EXPECT_EQ(in_flight() - before, 2);
  const auto find = [&](const Fd& from, uid_t uid, pid_t pid, const Ipv4Endpoint& to) {
    for (int i = 0; i < 4; ++i) {
      auto accepted = accept_one(from);
      ASSERT_TRUE(accepted) << accepted.error().text();
      auto peer = peer_endpoint(accepted->get());
      auto identity = source.identify(accepted->get());
      ASSERT_TRUE(peer && identity);
      ASSERT_TRUE(identity->known);
      if (peer->port == 40000) {
        EXPECT_EQ(identity->uid, uid);
        EXPECT_EQ(identity->tgid, static_cast<std::uint32_t>(pid));
        EXPECT_EQ(identity->destination, to);
        return;
      }
    }
    ADD_FAILURE() << "the client did not arrive";
  };
  find(first, 12001, alice, kImdsEndpoint);
  find(second, 12002, bob, kWireServerEndpoint);
  EXPECT_EQ(wait_for(alice), 0);
  EXPECT_EQ(wait_for(bob), 0);
  fillers.clear();
}

TEST_F(InFlight, WhatNeverGotThroughIsTidied) {
  listener.reset();
  std::vector<Fd> fillers;
  const Fd full = full_listener(kListener, fillers);
  const int before = in_flight();
  {
    const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    EXPECT_EQ(connect_socket(client.get(), kImdsEndpoint), EINPROGRESS);
    EXPECT_EQ(in_flight(), before + 1);
  }
  EXPECT_EQ(in_flight(), before);
  EXPECT_EQ(counters()->record_lost, 0U);
}

TEST_F(InFlight, FloodOfOneUserIsRefusedAndStarvesNobody) {
  listener.reset();
  std::vector<Fd> fillers;
  const Fd full = full_listener(kListener, fillers);
  const pid_t flood = lab->spawn(kMallory, [] {
    allow_many_files();
    std::vector<Fd> sockets;
    for (unsigned i = 0; i <= MSP_MAX_IN_FLIGHT_PER_UID; ++i) {
      Fd& fd = sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      const int failed = connect_socket(fd.get(), kImdsEndpoint);
      if (failed != EINPROGRESS) {
        ::sleep(2);
        return failed == EPERM && i == MSP_MAX_IN_FLIGHT_PER_UID ? 0 : 204;
      }
    }
    return 205;
  });
  for (int i = 0; i < 200 && counters()->refused_flood == 0; ++i) {
    ::usleep(10000);
  }
  EXPECT_EQ(counters()->refused_flood, 1U);
  const int before = in_flight();
  const Fd other(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
  EXPECT_EQ(connect_socket(other.get(), kImdsEndpoint), EINPROGRESS);
  EXPECT_EQ(in_flight(), before + 1);
  EXPECT_EQ(wait_for(flood), 0);
  // All of it is given back: the same user may come again.
  ::usleep(100000);
  EXPECT_EQ(in_flight(), before - static_cast<int>(MSP_MAX_IN_FLIGHT_PER_UID) + 1);
  const Fd counts(::bpf_obj_get(lab->pin("maps/in_flight_of_uid").c_str()));
  std::int64_t left = 0;
  EXPECT_NE(::bpf_map_lookup_elem(counts.get(), &kMallory.uid, &left), 0) << left;
  EXPECT_EQ(counters()->record_lost, 0U);
}

TEST_F(InFlight, FloodOfManyUsersIsRefusedAndLeavesRootItsPart) {
  constexpr int kUsers = 9;
  constexpr int kEach = 1000;
  listener.reset();
  const Fd second = listener_with_room();
  std::vector<Fd> fillers;
  const Fd full = full_listener(kListener, fillers);
  const int before = in_flight();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  std::vector<pid_t> flood;
  const auto all = [&] { return in_flight() - before + static_cast<int>(counters()->refused_flood); };
  for (int user = 0; user < kUsers; ++user) {
    const uid_t uid = 13000 + static_cast<uid_t>(user);
    flood.push_back(lab->spawn({.uid = uid, .gid = uid, .groups = {}}, [&] {
      allow_many_files();
      std::vector<Fd> sockets;
      int status = 0;
      for (int i = 0; i < kEach; ++i) {
        Fd& fd = sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
        const int failed = connect_socket(fd.get(), kImdsEndpoint);
        status = failed == EINPROGRESS || failed == EPERM ? status : 204;
      }
      hold_until_closed(pipe[0], pipe[1]);
      return status;
    }));
    for (int i = 0; i < 1000 && all() < (user + 1) * kEach; ++i) {
      ::usleep(10000);
    }
  }
  EXPECT_EQ(in_flight() - before, static_cast<int>(MSP_MAX_IN_FLIGHT_OF_OTHERS));
  EXPECT_EQ(of_others(), static_cast<std::int64_t>(MSP_MAX_IN_FLIGHT_OF_OTHERS));
  EXPECT_EQ(counters()->refused_flood, kUsers * kEach - MSP_MAX_IN_FLIGHT_OF_OTHERS);
  // A user who has nothing in flight is refused, not let through without a record; root is served.
  EXPECT_EQ(connect_as(kMallory, kWireServerEndpoint), EPERM);
  EXPECT_EQ(connect_as({}, kWireServerEndpoint), 0);
  auto root = next_identity(second);
  ASSERT_TRUE(root) << root.error().text();
  EXPECT_TRUE(root->known);
  EXPECT_EQ(root->uid, 0U);
  ::close(pipe[1]);
  for (const pid_t pid : flood) {
    EXPECT_EQ(wait_for(pid), 0);
  }
  for (int i = 0; i < 300 && in_flight() != before; ++i) {
    ::usleep(10000);
  }
  ::close(pipe[0]);
  // All of it is given back.
  EXPECT_EQ(in_flight(), before);
  EXPECT_EQ(of_others(), 0);
  EXPECT_EQ(connect_as(kMallory, kWireServerEndpoint), 0);
  EXPECT_EQ(next_identity(second)->uid, kMallory.uid);
  EXPECT_EQ(counters()->record_lost, 0U);
}

TEST_F(InFlight, SynsThatWerePutOffStopAtTheMargin) {
  constexpr unsigned kMost = MSP_MAX_IN_FLIGHT_PER_UID + MSP_IN_FLIGHT_MARGIN;
  listener.reset();
  // The client's Fast Open without a cookie: connect() returns, the SYN goes with the first bytes.
  ASSERT_TRUE(set_sysctl("net/ipv4/tcp_fastopen", "1543"));
  std::vector<Fd> fillers;
  const Fd full = full_listener(kListener, fillers);
  const int before = in_flight();
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t flood = lab->spawn(kMallory, [&] {
    allow_many_files();
    std::vector<Fd> sockets;
    for (unsigned i = 0; i < kMost + 10; ++i) {
      Fd& fd = sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
      const int one = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one));
      if (connect_socket(fd.get(), kImdsEndpoint) != 0) {
        return 204;
      }
    }
    for (const Fd& fd : sockets) {
      static_cast<void>(::send(fd.get(), "x", 1, MSG_NOSIGNAL));
    }
    hold_until_closed(pipe[0], pipe[1]);
    return 0;
  });
  for (int i = 0; i < 300 && counters()->record_lost < 10; ++i) {
    ::usleep(10000);
  }
  EXPECT_EQ(counters()->record_lost, 10U);
  EXPECT_EQ(in_flight() - before, static_cast<int>(kMost));
  ::close(pipe[1]);
  EXPECT_EQ(wait_for(flood), 0);
  ::close(pipe[0]);
  for (int i = 0; i < 300 && in_flight() != before; ++i) {
    ::usleep(10000);
  }
  EXPECT_EQ(in_flight(), before);
  EXPECT_EQ(of_others(), 0);
}

}  // namespace
}  // namespace msp::lab
