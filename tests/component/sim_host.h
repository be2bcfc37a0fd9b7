// SPDX-License-Identifier: Apache-2.0
// The host in a simulation: the real gateway, key ring and SQLite store, without sockets, on a clock of the test.
// Owned by one test, one thread. Its state lies in a directory of the test and outlives a crash.
// Whatever the host's own code refuses at start fails the test.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/loop.h"
#include "gateway/gateway.h"
#include "gateway/key_ring.h"
#include "gateway/model_store.h"
#include "tests/support/host_request.h"

namespace msp::sim {

struct Reply {
  int status = 0;
  std::string body;
  std::string date;  ///< of x-ms-azure-host-date; empty: none
  std::string content_type = {};
  std::string asks = {};
  std::string signature = {};  ///< of the status; empty: none
  std::string next_signature = {};
};

class SimHost {
 public:
  SimHost(std::string directory, const FakeClock& clock);

  /// What is in memory is lost. Comes back with the incarnation and the switch that hold now.
  void restart();
  Reply handle(Service service, const test::RequestText& text);

  // The operator's model of the machine; each takes effect by a restart.
  void raise_incarnation();
  void enable(bool on);
  /// A planned change of the key, while the host runs. Nothing where one is under way.
  void rotate();

  bool enabled() const { return enabled_; }
  std::uint32_t incarnation() const { return incarnation_; }
  /// Empty: none.
  std::string latched() const;
  /// The key before the last rotation, while it is taken; empty: none.
  std::string outgoing() const;

 private:
  std::string directory_;
  const FakeClock& clock_;
  gateway::Config config_;
  std::uint64_t starts_ = 0;
  bool enabled_ = true;
  std::uint32_t incarnation_ = 1;
  // Later ones refer to earlier ones.
  Loop loop_;  ///< never run: nobody waits
  gateway::VmRegistry registry_;
  std::unique_ptr<gateway::HostStore> store_;
  std::unique_ptr<gateway::KeyRing> keys_;
  std::unique_ptr<gateway::AccessLog> log_;
  http::BufferPool buffers_;
  std::unique_ptr<gateway::Gateway> gateway_;
};

}  // namespace msp::sim
