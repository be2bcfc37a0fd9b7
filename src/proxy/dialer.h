// SPDX-License-Identifier: Apache-2.0
// Where upstream connections come from: only sockets that the kernel side knows as ours pass it without being
// redirected, and the process that parses client bytes may neither make nor connect one.
// Implemented by the worker (the monitor dials for it), by a plain one in tests; called on the data loop.
// Failure: kernel errors; the request is then answered as "upstream failed".
#pragma once

#include "base/fd.h"
#include "base/loop.h"
#include "base/net.h"
#include "base/result.h"
#include "base/task.h"

namespace msp::proxy {

class Dialer {
 public:
  Dialer() = default;
  virtual ~Dialer() = default;
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  /// A non-blocking IPv4 TCP socket, exempt, whose connect to `to`, the address of that service, has begun.
  virtual Task<Result<Fd>> dial(Service service, const Ipv4Endpoint& to, Deadline deadline) = 0;
};

/// Sockets of a process that nobody intercepts (tests, benchmarks of the data path alone).
class PlainDialer final : public Dialer {
 public:
  Task<Result<Fd>> dial(Service /*service*/, const Ipv4Endpoint& to, Deadline /*deadline*/) override {
    auto socket = make_tcp_socket();
    if (socket) {
      if (auto begun = begin_connect(*socket, to); !begun) {
        co_return std::move(begun).error();
      }
    }
    co_return socket;
  }
};

}  // namespace msp::proxy
