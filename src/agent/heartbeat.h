// SPDX-License-Identifier: Apache-2.0
// Tells systemd's watchdog that the agent is alive: the control loop by speaking, the worker by having answered it.
// Lives on the control loop; ends with its destruction, which must come after the loop's last turn.
// When either loop hangs nothing is said, and systemd ends and starts the agent.
#pragma once

#include "agent/data_link.h"
#include "base/loop.h"
#include "base/service_manager.h"

namespace msp::agent {

class Heartbeat {
 public:
  /// All outlive it. Without a watchdog nothing happens.
  Heartbeat(Loop& loop, DataLink& data, const ServiceManager& manager);

 private:
  Task<> beat(std::uint64_t every_ms);

  Loop& loop_;
  DataLink& data_;
  const ServiceManager& manager_;
  bool answered_ = true;
  Task<> beating_;
};

}  // namespace msp::agent
