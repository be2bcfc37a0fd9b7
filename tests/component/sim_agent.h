// SPDX-License-Identifier: Apache-2.0
// The agent's channel in a simulation: the real machine, key store and host time, driven by events instead of a loop.
// Owned by one test, one thread; its files lie in a directory of the test and outlive a crash.
// Stands in for channel::Channel only in what sockets and timers do there.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "channel/host_client.h"
#include "channel/key_store.h"
#include "channel/machine.h"
#include "channel/status_guard.h"
#include "tests/component/sim_host.h"

namespace msp::sim {

class SimAgent {
 public:
  SimAgent(std::string directory, const FakeClock& clock);

  /// As after a crash or a reboot: only files are left.
  void start();

  channel::Action action() const { return action_; }
  const channel::Machine& machine() const { return machine_; }

  /// What goes to the host now; only where action() is kPoll, kAcquire or kAttest.
  test::RequestText request();
  void hear(const Reply& reply);
  void hear_nothing();
  /// kLoadKey and kSaveKey; `disk_fails`: the file system says no.
  void use_disk(bool disk_fails);
  void wait_over(bool notified);
  /// How long kWait lasts now.
  std::uint64_t pause_ms(double jitter) const;

  /// What a request of a guest process becomes: nothing (not ready), or signed, or as it came.
  std::optional<test::RequestText> forward(const test::RequestText& asked) const;
  bool open() const { return !machine_.closed() && machine_.key_guid.empty(); }
  std::int64_t now_seconds() const { return time_.unix_seconds(clock_); }

  /// What the last good status of this run said; nothing before it.
  std::optional<bool> told_enabled() const { return told_enabled_; }
  bool has_traces_of_a_latch() const;
  /// The host has signed its status before: no other is believed.
  bool demands_signed_status() const { return guard_->demands(); }
  /// The key file of this id can be used.
  bool can_load(const std::string& guid) const { return store_.load(guid).ok(); }
  std::string key_directory() const { return directory_ + "/keys"; }

 private:
  void step(const channel::Event& event);
  void settle();
  channel::Event polled(const Reply& reply);
  channel::Event acquired(const Reply& reply);

  std::string directory_;
  const FakeClock& clock_;
  channel::KeyStore store_;
  std::optional<channel::StatusGuard> guard_;
  std::optional<protocol::SignRequest> asked_;  ///< with the last poll
  std::string asked_date_;
  channel::HostTime time_;
  channel::Machine machine_;
  channel::Action action_ = channel::Action::kPoll;
  protocol::KeyDocument candidate_;
  std::optional<Secret> key_;
  std::string key_guid_;
  std::optional<bool> told_enabled_;
  bool marked_ = false;
  std::uint64_t started_ms_ = 0;
};

}  // namespace msp::sim
