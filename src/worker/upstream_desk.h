// SPDX-License-Identifier: Apache-2.0
// Upstream connections, ordered from the monitor: root's sockets pass a guest's own firewall rules and the hooks, and
// it alone says where they go. Owned by the worker, on its loop's thread; must outlive the data plane. Failure: the
// monitor's errno, or ETIMEDOUT; an answer that comes too late is closed.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "link/message.h"
#include "proxy/dialer.h"

namespace msp::worker {

class UpstreamDesk final : public proxy::Dialer {
 public:
  using Send = std::function<bool(const link::ToMonitor&)>;
  UpstreamDesk(Loop& loop, Send send) : loop_(loop), send_(std::move(send)) {}

  Task<Result<Fd>> dial(Service service, const Ipv4Endpoint& to, Deadline deadline) override;
  /// `socket`: none if `answer` has a code.
  void take(const link::Dialled& answer, Fd socket);

 private:
  struct Waiting {
    explicit Waiting(Loop& loop) : answered(loop) {}
    Signal answered;
    std::uint32_t code = 0;
    Fd socket;
  };
  Loop& loop_;
  Send send_;
  std::uint64_t last_ = 0;
  std::unordered_map<std::uint64_t, Waiting*> waiting_;
};

}  // namespace msp::worker
