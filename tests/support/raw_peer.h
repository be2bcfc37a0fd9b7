// SPDX-License-Identifier: Apache-2.0
// Blocking sockets for tests: a client that says exactly what it is told, and an origin that logs every byte it got.
// Owned by the test; the origin runs a thread of its own. Loopback only.
// Failures are gtest failures; every wait has a bound.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/net.h"

namespace msp::test {

inline bool wait_for(int fd, short events, int timeout_ms) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

class RawClient {
 public:
  explicit RawClient(const Ipv4Endpoint& to) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(to.port);
    std::memcpy(&in.sin_addr, to.address.data(), 4);
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&in), sizeof(in)), 0) << std::strerror(errno);
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        return;
      }
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  /// Everything until the peer closes or nothing comes for a while.
  std::string read_all(int timeout_ms = 3000) {
    char buffer[65536];
    while (wait_for(fd_.get(), POLLIN, timeout_ms)) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
      closed_ = n <= 0;
      reset_ = n < 0 && errno == ECONNRESET;
      if (closed_) {
        break;
      }
      got_.append(buffer, static_cast<std::size_t>(n));
    }
    return std::exchange(got_, {});
  }
  /// Until `end` has been seen; what follows stays for the next read.
  std::string read_until(std::string_view end, int timeout_ms = 3000) {
    char buffer[65536];
    for (;;) {
      if (const auto at = got_.find(end); at != std::string::npos) {
        std::string out = got_.substr(0, at + end.size());
        got_.erase(0, out.size());
        return out;
      }
      if (!wait_for(fd_.get(), POLLIN, timeout_ms)) {
        return std::exchange(got_, {});
      }
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof(buffer), 0);
      closed_ = n <= 0;
      reset_ = n < 0 && errno == ECONNRESET;
      if (closed_) {
        return std::exchange(got_, {});
      }
      got_.append(buffer, static_cast<std::size_t>(n));
    }
  }
  void close_write() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  bool closed() const { return closed_; }
  /// It was closed so that nobody takes what came for all.
  bool reset() const { return reset_; }

 private:
  Fd fd_;
  std::string got_;
  bool closed_ = false;
  bool reset_ = false;
};

/// Serves connections one after the other, each on its own thread; `script` gets the socket and does as it likes.
class RawOrigin {
 public:
  using Script = std::function<void(RawOrigin&, int socket)>;

  explicit RawOrigin(Script script, std::array<std::uint8_t, 4> address = {127, 0, 0, 2}) : script_(std::move(script)) {
    auto socket = make_tcp_socket();
    EXPECT_TRUE(socket.ok());
    EXPECT_TRUE(bind_and_listen(*socket, {address, 0}, 64).ok());
    endpoint_ = *local_endpoint(socket->get());
    listener_ = std::move(*socket);
    thread_ = std::thread([this] { run(); });
  }
  ~RawOrigin() {
    stop_ = true;
    thread_.join();
    for (auto& worker : workers_) {
      worker.join();
    }
  }

  const Ipv4Endpoint& endpoint() const { return endpoint_; }
  /// All bytes of all connections, in order of arrival.
  std::string log() {
    const std::lock_guard lock(mutex_);
    return log_;
  }
  int connections() const { return connections_; }

  /// Reads one message with head and content-length body; empty when the peer closes. Logged.
  std::string read_request(int socket) {
    std::string got;
    std::size_t want = 0;
    while (want == 0 || got.size() < want) {
      char byte[4096];
      if (!wait_or_stop(socket)) {
        return {};
      }
      const ssize_t n = ::recv(socket, byte, want == 0 ? 1 : std::min(sizeof(byte), want - got.size()), 0);
      if (n <= 0) {
        return {};
      }
      note({byte, static_cast<std::size_t>(n)});
      got.append(byte, static_cast<std::size_t>(n));
      if (want == 0 && got.ends_with("\r\n\r\n")) {
        want = got.size() + body_length(got);
      }
    }
    return got;
  }
  void note(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    log_ += bytes;
  }
  bool wait_or_stop(int socket) {
    while (!stop_) {
      if (wait_for(socket, POLLIN, 20)) {
        return true;
      }
    }
    return false;
  }
  bool stopped() const { return stop_; }
  static void say(int socket, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        return;
      }
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }

 private:
  static std::size_t body_length(const std::string& head) {
    const auto at = head.find("content-length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
  }
  void run() {
    while (!stop_) {
      if (!wait_for(listener_.get(), POLLIN, 20)) {
        continue;
      }
      Fd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (socket) {
        ++connections_;
        workers_.emplace_back([this, owned = std::move(socket)] { script_(*this, owned.get()); });
      }
    }
  }

  Script script_;
  Fd listener_;
  Ipv4Endpoint endpoint_;
  std::mutex mutex_;
  std::string log_;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> workers_;
  std::thread thread_;
};

}  // namespace msp::test
