// SPDX-License-Identifier: Apache-2.0
// One end of the socket pair between monitor and worker: packets with descriptors, in order, none lost, none blocking.
// Owned by one loop and used on its thread. What is too long for a packet goes in a sealed file beside it, which only
// the monitor may send.
// Failure: once the other end is gone, or has sent what no packet of ours is, on_gone is called, once; nothing is sent
// or received after that.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"

namespace msp::link {

class Connection {
 public:
  static constexpr std::size_t kMaxPacket = std::size_t{32} << 10;
  static constexpr std::size_t kMaxFile = std::size_t{256} << 20;  ///< three sets of rules, each as large as may be
  static constexpr std::size_t kMaxDescriptors = 4;
  /// Packets that the other end has not made room for, and what is in them and in their files. One alone always fits.
  static constexpr std::size_t kMaxWaiting = 4096;
  static constexpr std::size_t kMaxWaitingBytes = std::size_t{8} << 20;
  /// With so many waiting an untrusted end is not heard until it has read some: what it asks for makes more.
  static constexpr std::size_t kUnheardWaiting = 64;

  /// Non-blocking, close-on-exec.
  static Result<std::pair<Fd, Fd>> make_pair();

  /// kTrusted: its long packets are read from files.
  enum class Peer : std::uint8_t { kTrusted, kUntrusted };
  struct Events {
    std::function<void(std::string_view packet, std::vector<Fd> descriptors)> on_packet;
    std::function<void(const Error& why)> on_gone;
  };
  /// Neither callback may destroy the connection.
  Connection(Loop& loop, Fd socket, Peer peer, Events events);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<void> start() { return watch_.start(); }
  /// False: gone, or too much is waiting already; the packet is dropped. What was sent is wiped: keys are among it.
  bool send(std::string packet, std::vector<Fd> descriptors = {});
  bool gone() const { return gone_; }

 private:
  struct Waiting {
    std::string packet;
    std::vector<Fd> descriptors;
    std::size_t weight = 0;  ///< bytes, with those of the file
  };
  enum class Sent : std::uint8_t { kYes, kFull, kNo };
  Sent send_now(const Waiting& one);
  void flush();
  bool heard() const { return peer_ == Peer::kTrusted || waiting_.size() < kUnheardWaiting; }
  void follow_waiting();
  void on_event(std::uint32_t events);
  /// False: there is nothing to read now, or never again.
  bool receive();
  void deliver(std::string_view packet, std::vector<Fd> descriptors);
  void lose(const Error& why);

  Fd socket_;
  Peer peer_;
  Events events_;
  Watch watch_;
  std::deque<Waiting> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::vector<char> buffer_;
  std::uint32_t watched_ = EPOLLIN;
  bool gone_ = false;
};

}  // namespace msp::link
