// SPDX-License-Identifier: Apache-2.0
// A small HTTP/1.1 server: listeners, connections with keep-alive and pipelining, deadlines, collected bodies.
// Belongs to one loop's thread, as do its handler and buffer pool, which must outlive it.
// Bad input is answered with our error form and the connection closed; handlers never see it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"
#include "http/buffer.h"
#include "http/date.h"
#include "http/message.h"

namespace msp::http {

class Handler {
 public:
  virtual ~Handler() = default;
  /// Called when the head is there: the largest body to take for it, in bytes (more is answered with 413).
  virtual std::uint64_t body_limit(const Request& request) = 0;
  /// Called with the whole body. Everything `request` points to lives until the task ends.
  virtual Task<Response> handle(const Request& request) = 0;
};

struct ServerLimits {
  std::uint64_t head_ms = 10'000;   ///< for a whole head, from its first byte: 408
  std::uint64_t idle_ms = 75'000;   ///< between requests: close
  std::uint64_t body_ms = 30'000;   ///< without a byte of the body: 408
  std::uint64_t write_ms = 30'000;  ///< for writing an answer: close
  std::size_t max_connections = 4096;
};

struct ServerCounters {
  std::uint64_t accepted = 0;
  std::uint64_t refused_connections = 0;  ///< above max_connections: 503
  std::uint64_t requests = 0;             ///< handed to the handler
  std::uint64_t bad_requests = 0;         ///< answered by the server itself
};

class Server {
 public:
  Server(Loop& loop, BufferPool& buffers, Handler& handler, ServerLimits limits = {});
  /// Cancels what is left. No handler task may be waiting for anything but its own connection: drain() first.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Accepts from a listening, non-blocking IPv4 or unix socket. Any number of them.
  Result<void> listen(Fd listener);
  /// No new connections; idle ones close now, busy ones after their answer, all that is left at the deadline.
  Task<void> drain(Deadline deadline);

  std::size_t connections() const { return connections_; }
  const ServerCounters& counters() const { return counters_; }

 private:
  class Connection;
  struct Listener;
  struct ConnectionTag;

  void on_acceptable(Listener& listener);
  void pause_accepting();
  Task<void> serve(Fd socket);

  Loop& loop_;
  BufferPool& buffers_;
  Handler& handler_;
  ServerLimits limits_;
  ServerCounters counters_;
  DateCache date_;
  RequestIds ids_;
  Signal all_closed_;
  bool draining_ = false;
  std::size_t connections_ = 0;
  std::vector<std::unique_ptr<Listener>> listeners_;
};

}  // namespace msp::http
