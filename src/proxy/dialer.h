// SPDX-License-Identifier: Apache-2.0
// Where upstream sockets come from: only sockets that the kernel side knows as ours pass it without being redirected.
// Implemented by the assembly (marks by descriptor), by a plain one in tests; called on the data loop.
// Failure: kernel errors; the request is then answered as "upstream failed".
#pragma once

#include "base/fd.h"
#include "base/net.h"
#include "base/result.h"

namespace msp::proxy {

class Dialer {
 public:
  Dialer() = default;
  virtual ~Dialer() = default;
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  /// A non-blocking, unconnected, exempt IPv4 TCP socket.
  virtual Result<Fd> socket() = 0;
};

/// Sockets of a process that nobody intercepts (tests, benchmarks of the data path alone).
class PlainDialer final : public Dialer {
 public:
  Result<Fd> socket() override { return make_tcp_socket(); }
};

}  // namespace msp::proxy
