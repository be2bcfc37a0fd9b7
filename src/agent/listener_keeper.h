// SPDX-License-Identifier: Apache-2.0
// The one listener of the agent, which outlives it: systemd keeps a duplicate, and the next start takes it over with
// all the connections that wait in it (docs/decisions/listener-in-the-descriptor-store.md). Owned by the assembly on
// the control thread. open() proves the listener before it is used; one that was kept and is not good is dropped for a
// new one. A listener that dies later is bound again, however long that takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/data_link.h"
#include "base/loop.h"
#include "base/service_manager.h"
#include "intercept/interceptor.h"

namespace msp::agent {

class ListenerKeeper {
 public:
  /// All outlive it.
  ListenerKeeper(Loop& loop, ServiceManager& manager, intercept::Interceptor& hooks, const Ipv4Endpoint& at)
      : loop_(loop), manager_(manager), hooks_(hooks), at_(at) {}

  /// Taken over or bound, marked as ours, and shown to yield records. The hooks must know the address already.
  Result<void> open();
  /// Hands it to the worker, with the connections that open() met on its way.
  Result<void> serve(DataLink& data);
  bool adopted() const { return adopted_; }

 private:
  Result<void> prove();
  std::optional<Fd> kept(std::uint64_t cookie);
  Result<Fd> bind();
  Result<void> hand_over(DataLink& data);
  Task<> bind_again(DataLink& data);

  Loop& loop_;
  ServiceManager& manager_;
  intercept::Interceptor& hooks_;
  Ipv4Endpoint at_;
  std::string name_;
  Fd listener_;
  std::vector<Fd> strangers_;
  bool adopted_ = false;
  std::optional<Task<>> binding_;
};

}  // namespace msp::agent
