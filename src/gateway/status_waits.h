// SPDX-License-Identifier: Apache-2.0
// Status requests that wait until something of their machine changes (docs/long-poll.md).
// Owned by the gateway; loop's thread. A change wakes those of one machine only.
// Bounded: above kMostForOne of a machine, or above all that is allowed, nobody waits, he is answered at once.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/loop.h"
#include "base/task.h"

namespace msp::gateway {

class StatusWaits {
 public:
  static constexpr std::size_t kMostForOne = 4;

  StatusWaits(Loop& loop, std::size_t most) : loop_(loop), most_(most) {}

  /// Returns when `changed` says so (asked at once and after each announcement), at the deadline, or at the end.
  Task<void> hold(std::string vm_id, std::uint64_t ms, std::function<bool()> changed);
  /// Something of this machine may have changed.
  void announce(const std::string& vm_id);
  /// Nobody waits from now on.
  void end();

  bool ended() const { return ended_; }
  std::size_t waiting() const { return waiting_; }

 private:
  struct Line {
    explicit Line(Loop& loop) : signal(loop) {}
    Signal signal;
    std::size_t waiting = 0;
  };

  Loop& loop_;
  std::size_t most_;
  std::size_t waiting_ = 0;
  bool ended_ = false;
  std::unordered_map<std::string, std::unique_ptr<Line>> lines_;  // by vmId
};

}  // namespace msp::gateway
