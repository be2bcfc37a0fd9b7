// SPDX-License-Identifier: Apache-2.0
// msp-host put together: configuration, state, listeners, signals, and an orderly end.
// Main thread, which is the loop's thread.
// Whatever cannot be opened, read or bound refuses the start with its reason; nothing is served half.
#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "gateway/access_log.h"
#include "gateway/admin_server.h"
#include "gateway/config.h"
#include "gateway/gateway.h"
#include "gateway/inventory.h"
#include "gateway/kept_listeners.h"
#include "gateway/key_ring.h"
#include "gateway/model_store.h"
#include "gateway/token_server.h"
#include "gateway/vm_registry.h"
#include "http/buffer.h"
#include "http/metrics_server.h"
#include "http/server.h"

namespace msp::gateway {

class HostApp {
 public:
  /// Opens the state, loads models and keys, binds every listener or takes it over. All but `config` outlive it.
  static Result<std::unique_ptr<HostApp>> start(Config config, Loop& loop, const Clock& clock, KeptListeners& kept);
  ~HostApp();
  HostApp(const HostApp&) = delete;
  HostApp& operator=(const HostApp&) = delete;

  /// Where it listens, in the order of the configuration (ports that were 0 are filled in).
  const std::vector<Ipv4Endpoint>& endpoints() const { return endpoints_; }
  const VmRegistry& registry() const { return inventory_->registry(); }
  /// Why a host with this configuration could not take the place of this one.
  Result<void> fits(const Config& config) const;
  /// No new connections; requests in flight are answered until the deadline.
  Task<void> drain(Deadline deadline);
  void log_counters() const;
  std::uint64_t unknown_callers() const { return gateway_->unknown_callers(); }
  Task<std::string> metrics() const;

 private:
  HostApp(Config config, Loop& loop, const Clock& clock, std::unique_ptr<Inventory> inventory);
  Result<void> open_state();
  Result<void> open_signers();
  Result<void> listen(KeptListeners& kept);
  Result<void> listen_for_operators();
  /// Gives back what a crowd has needed.
  Task<void> tidy_up();
  Result<Ipv4Endpoint> serve(http::Handler& handler, Fd listener);

  Config config_;
  Loop& loop_;
  const Clock& clock_;
  Fd state_;  ///< the lock of its directory
  std::unique_ptr<HostStore> store_;
  std::unique_ptr<Inventory> inventory_;
  std::unique_ptr<KeyRing> keys_;
  std::unique_ptr<AccessLog> log_;
  std::unique_ptr<content::TokenIssuer> issuer_;
  std::unique_ptr<DocumentSigner> documents_;
  std::unique_ptr<Gateway> gateway_;
  http::BufferPool buffers_;
  std::optional<Task<void>> tidying_;
  std::vector<std::unique_ptr<ServiceHandler>> handlers_;
  std::vector<std::unique_ptr<http::Server>> servers_;
  std::unique_ptr<TokenServer> tokens_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<http::MetricsServer> metrics_;
  std::vector<Ipv4Endpoint> endpoints_;
};

/// The whole program. Returns its exit status: 0 good, 1 failed while running, 2 bad usage or configuration.
int host_main(int argc, const char* const* argv);

}  // namespace msp::gateway
