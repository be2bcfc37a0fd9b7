// SPDX-License-Identifier: Apache-2.0
// The monitor as one object: wires hooks, the link to the worker, channel, rules, audit and status, in this order, and
// takes them down in reverse. Lives on the control thread, whose loop it runs until TERM or INT. Any failure to start
// is an Error with its remedy; hooks of an earlier run stay attached, so the gate stays shut.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/config.h"
#include "agent/data_link.h"
#include "agent/field_files.h"
#include "agent/heartbeat.h"
#include "agent/identity_keeper.h"
#include "agent/listener_keeper.h"
#include "agent/worker_process.h"
#include "audit/log.h"
#include "base/clock.h"
#include "base/loop.h"
#include "base/service_manager.h"
#include "channel/channel.h"
#include "http/metrics_server.h"
#include "identity/names.h"
#include "intercept/interceptor.h"
#include "rules/local_watch.h"
#include "rules/publisher.h"
#include "status/control_server.h"
#include "status/provision.h"

namespace msp::agent {

class App {
 public:
  static Result<std::unique_ptr<App>> start(Config config);
  ~App();
  App(const App&) = delete;
  App& operator=(const App&) = delete;

  /// kLineOrSignal: a line on standard input, or its end, stops it as well (`console`, protocol.md H.1).
  enum class Until : std::uint8_t { kSignal, kLineOrSignal };
  /// Until it is told to stop; requests in flight are answered before it returns. SIGHUP asks `reread` for the
  /// configuration (docs/configuration.md says what of it counts then) and for local rule files.
  using Reread = std::function<Result<Config>()>;
  Result<void> run(Until until, const Reread& reread);

 private:
  explicit App(Config config);
  Result<void> be_the_only_one();
  Result<void> open_log();
  Result<void> open_audit();
  Result<void> open_hooks();
  void take_hooks_back();
  Result<void> open_data_path();
  Result<void> open_channel();
  Result<void> open_control_socket();
  Result<void> open_metrics();
  void on_channel(std::shared_ptr<const channel::ChannelState> state);
  void follow_local_rules();
  void watch_local_rules(const std::string& directory);
  void keep_pins();
  void watch_key();
  Task<> look_after();
  void install_gate();
  void grant(std::function<void()> wish);
  void on_notify();
  void report_provisioning();
  void report();
  void tell_manager(std::string_view state, std::string_view more) const;
  void stop(std::string_view why);
  void on_signal(const Reread& reread);
  void reload(const Reread& reread);
  status::Snapshot snapshot() const;
  status::RulesInForce rules_in_force() const;
  Task<> write_status_file();

  Config config_;
  ServiceManager manager_;
  SystemClock clock_;
  std::uint64_t started_ms_;
  FieldFiles files_;
  Loop loop_;
  http::BufferPool buffers_;
  Fd signals_;
  WorkerUser worker_user_;
  Fd lock_;  ///< of the pins
  std::unique_ptr<audit::Log> audit_;
  std::unique_ptr<intercept::Interceptor> hooks_;
  std::shared_ptr<const identity::NameTable> name_table_;  ///< the control thread's
  std::unique_ptr<identity::NameResolver> names_;
  std::unique_ptr<ListenerKeeper> listener_;
  std::unique_ptr<DataLink> data_;
  std::unique_ptr<IdentityKeeper> keeper_;
  std::unique_ptr<rules::LocalDirectory> local_rules_;
  std::unique_ptr<rules::Publisher> rules_;
  std::unique_ptr<rules::LocalWatch> local_watch_;
  status::Provisioning provisioning_;
  const void* watched_key_ = nullptr;      ///< compared only
  std::atomic<std::uint32_t> wishes_ = 0;  ///< of the worker, that wait
  std::string hooks_message_;
  std::optional<intercept::Settings> hook_settings_;
  std::unique_ptr<channel::Channel> channel_;
  std::unique_ptr<status::ControlServer> control_;
  std::unique_ptr<http::MetricsServer> metrics_;
  std::shared_ptr<const channel::ChannelState> state_;
  std::unique_ptr<Heartbeat> heartbeat_;
  std::optional<Task<>> status_writer_;
  std::optional<Task<>> upkeep_;
  bool hooks_to_take_back_ = false;  ///< there was none before this start
  bool unpinned_ = false;            ///< and could not be pinned again
  bool started_up_ = false;
};

}  // namespace msp::agent
