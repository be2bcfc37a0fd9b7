// SPDX-License-Identifier: Apache-2.0
#include "worker/upstream_desk.h"

#include <cerrno>

namespace msp::worker {

Task<Result<Fd>> UpstreamDesk::dial(Service service, const Ipv4Endpoint& /*to*/, Deadline deadline) {
  const std::uint64_t number = ++last_;
  Waiting mine(loop_);
  if (!send_(link::Dial{.dial = number, .service = service})) {
    co_return errno_error("the monitor cannot be asked for a connection", ENOBUFS);
  }
  waiting_.emplace(number, &mine);
  const bool answered = co_await mine.answered.wait(deadline);
  waiting_.erase(number);
  if (!answered || mine.code != 0) {
    co_return errno_error("no connection from the monitor", answered ? static_cast<int>(mine.code) : ETIMEDOUT);
  }
  co_return std::move(mine.socket);
}

void UpstreamDesk::take(const link::Dialled& answer, Fd socket) {
  if (const auto at = waiting_.find(answer.dial); at != waiting_.end()) {
    at->second->code = answer.code;
    at->second->socket = std::move(socket);
    at->second->answered.announce();
  }
}

}  // namespace msp::worker
