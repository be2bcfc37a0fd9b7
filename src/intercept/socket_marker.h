// SPDX-License-Identifier: Apache-2.0
// Marks a socket as the agent's own, so that the connect hook does not send it back to the agent.
// Implemented by Interceptor; any thread: one system call, no lock.
// A socket that could not be marked must not be used: its connect would come back to our own listener.
#pragma once

#include "base/result.h"

namespace msp::intercept {

class SocketMarker {
 public:
  virtual ~SocketMarker() = default;
  /// Before bind() or connect(). The descriptor stays the caller's; the mark dies with the socket.
  virtual Result<void> mark_own(int fd) = 0;
};

/// Where nothing is hooked (tests, a machine that runs without interception).
class NoMarker final : public SocketMarker {
 public:
  Result<void> mark_own(int /*fd*/) override { return {}; }
};

}  // namespace msp::intercept
