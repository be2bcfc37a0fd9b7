// SPDX-License-Identifier: Apache-2.0
#include "link/connection.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace msp::link {
namespace {

struct End {
  End(Loop& loop, Fd socket, Connection::Peer peer)
      : connection(loop, std::move(socket), peer,
                   {.on_packet =
                        [this](std::string_view packet, std::vector<Fd> fds) {
                          packets.emplace_back(packet);
                          descriptors.push_back(std::move(fds));
                        },
                    .on_gone = [this](const Error& error) { gone.push_back(error.text()); }}) {
    EXPECT_TRUE(connection.start());
  }
  std::vector<std::string> packets;
  std::vector<std::vector<Fd>> descriptors;
  std::vector<std::string> gone;
  Connection connection;
};

class LinkConnection : public testing::Test {
 protected:
  LinkConnection() {
    auto ends = Connection::make_pair();
    EXPECT_TRUE(ends);
    raw_monitor = ends->first.get();
    raw_worker = ends->second.get();
    monitor.emplace(monitor_loop, std::move(ends->first), Connection::Peer::kUntrusted);
    worker.emplace(loop, std::move(ends->second), Connection::Peer::kTrusted);
  }
  void turn(int times = 20) {
    for (int i = 0; i < times; ++i) {
      monitor_loop.run_once(0);
      loop.run_once(0);
    }
  }
  Loop monitor_loop;
  Loop loop;
  int raw_monitor = -1;
  int raw_worker = -1;
  std::optional<End> monitor;
  std::optional<End> worker;
};

TEST_F(LinkConnection, PacketsComeWholeAndInOrderWithTheirDescriptors) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const Fd other(pipe[1]);
  std::vector<Fd> one;
  one.emplace_back(pipe[0]);
  EXPECT_TRUE(monitor->connection.send("first"));
  EXPECT_TRUE(monitor->connection.send("second", std::move(one)));
  const std::string large(3 << 20, 'x');
  EXPECT_TRUE(monitor->connection.send(large));
  EXPECT_TRUE(monitor->connection.send(std::string(Connection::kMaxPacket, 'y')));
  EXPECT_TRUE(worker->connection.send("back"));
  turn();
  ASSERT_EQ(worker->packets.size(), 4U);
  EXPECT_EQ(worker->packets[0], "first");
  EXPECT_EQ(worker->packets[1], "second");
  EXPECT_EQ(worker->packets[2], large);
  EXPECT_EQ(worker->packets[3].size(), Connection::kMaxPacket);
  EXPECT_TRUE(worker->descriptors[0].empty());
  ASSERT_EQ(worker->descriptors[1].size(), 1U);
  struct stat sent{};
  struct stat got{};
  ASSERT_EQ(::fstat(other.get(), &sent), 0);
  ASSERT_EQ(::fstat(worker->descriptors[1][0].get(), &got), 0);
  EXPECT_EQ(sent.st_ino, got.st_ino);
  EXPECT_TRUE(worker->descriptors[2].empty()) << "the file is the link's own";
  EXPECT_EQ(monitor->packets, std::vector<std::string>{"back"});
}

TEST_F(LinkConnection, WhatDoesNotFitWaitsAndHasABound) {
  std::size_t sent = 0;
  while (monitor->connection.send(std::string(1000, 'x'))) {
    ++sent;
  }
  EXPECT_GE(sent, Connection::kMaxWaiting);
  turn(1000);
  EXPECT_EQ(worker->packets.size(), sent) << "and none is lost";
  EXPECT_TRUE(monitor->connection.send("again"));
  turn();
  EXPECT_EQ(worker->packets.back(), "again");
}

TEST_F(LinkConnection, WhatWaitsHasABoundInBytesAndInFiles) {
  const std::string large(Connection::kMaxWaitingBytes, 'x');
  EXPECT_TRUE(monitor->connection.send(large)) << "one alone";
  std::size_t files = 0;
  while (monitor->connection.send(std::string(1 << 20, 'x'))) {
    ASSERT_LT(++files, 1000U);
  }
  EXPECT_GE(files, Connection::kMaxWaitingBytes >> 20);
  turn(2000);
  EXPECT_EQ(worker->packets.size(), files + 1);
}

TEST_F(LinkConnection, AWorkerThatDoesNotReadIsNotHeard) {
  std::size_t sent = 0;
  while (sent < 1000 && monitor->connection.send("answer")) {
    ++sent;
  }
  EXPECT_EQ(sent, 1000U);
  EXPECT_TRUE(worker->connection.send("wish"));
  for (int i = 0; i < 10; ++i) {
    monitor_loop.run_once(0);
  }
  EXPECT_TRUE(monitor->packets.empty());
  turn(200);
  EXPECT_EQ(worker->packets.size(), sent);
  EXPECT_EQ(monitor->packets, std::vector<std::string>{"wish"});
}

TEST_F(LinkConnection, TheEndIsToldOnce) {
  worker.reset();
  turn();
  EXPECT_EQ(monitor->gone.size(), 1U);
  EXPECT_FALSE(monitor->connection.send("x"));
}

TEST_F(LinkConnection, TheWorkerMayNotSendFiles) {
  EXPECT_TRUE(worker->connection.send(std::string(Connection::kMaxPacket + 1, 'x')));
  turn();
  EXPECT_TRUE(monitor->packets.empty());
  ASSERT_EQ(monitor->gone.size(), 1U);
  EXPECT_NE(monitor->gone[0].find("is none"), std::string::npos) << monitor->gone[0];
}

TEST_F(LinkConnection, WhatIsNoPacketOfOursEndsIt) {
  const std::string too_long(Connection::kMaxPacket + 2, 'h');
  ASSERT_GT(::send(raw_worker, too_long.data(), too_long.size(), 0), 0);
  turn();
  EXPECT_EQ(monitor->gone.size(), 1U);
  EXPECT_TRUE(monitor->packets.empty());
}

TEST_F(LinkConnection, MoreDescriptorsThanAnyPacketHasEndIt) {
  std::array<int, Connection::kMaxDescriptors + 1> fds{};
  fds.fill(raw_worker);
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fds)> control{};
  char byte = 'h';
  iovec piece{.iov_base = &byte, .iov_len = 1};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof fds);
  std::memcpy(CMSG_DATA(part), fds.data(), sizeof fds);
  ASSERT_EQ(::sendmsg(raw_worker, &message, 0), 1);
  turn();
  EXPECT_EQ(monitor->gone.size(), 1U);
}

}  // namespace
}  // namespace msp::link
