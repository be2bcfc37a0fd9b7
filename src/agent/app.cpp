// SPDX-License-Identifier: Apache-2.0
#include "agent/app.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "agent/dialler.h"
#include "agent/gate.h"
#include "agent/link_messages.h"
#include "agent/snapshot.h"
#include "base/file.h"
#include "base/log.h"
#include "base/log_sinks.h"
#include "base/process.h"
#include "base/version.h"
#include "intercept/cgroup.h"
#include "intercept/pins.h"
#include "status/metrics.h"
#include "status/report.h"

namespace msp::agent {
namespace {

constexpr std::uint32_t kNameTtlMs = 60'000;
constexpr std::uint64_t kDrainMs = 3'000;
constexpr std::uint32_t kMostWishes = 8'192;

Result<Fd> stop_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGTERM);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGHUP);
  // Before any thread starts: all of them inherit the mask, so that the descriptor alone hears the signals.
  if (::pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) {
    return errno_error("sigmask");
  }
  Fd fd(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) {
    return errno_error("signalfd");
  }
  return fd;
}

bool has_line_or_end(int fd) {
  std::array<char, 256> bytes{};
  const ssize_t n = ::read(fd, bytes.data(), bytes.size());
  return n <= 0 ? n == 0 || (errno != EINTR && errno != EAGAIN)
                : std::string_view(bytes.data(), static_cast<std::size_t>(n)).contains('\n');
}

/// The services, for people.
std::string redirected(const channel::ChannelState& state) {
  std::string names;
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    if (state.redirect(service)) {
      names += fmt::format("{}{}", names.empty() ? "" : " ", to_string(service));
    }
  }
  return names.empty() ? "nothing" : names;
}

}  // namespace

App::App(Config config)
    : config_(std::move(config)),
      manager_(ServiceManager::from_environment()),
      started_ms_(clock_.boottime_ms()),
      files_(config_.status_file, config_.latch_key_folder),
      provisioning_(started_ms_) {}

Result<std::unique_ptr<App>> App::start(Config config) {
  // Where nobody may serve, nothing is attached.
  auto user = worker_user(config.worker_user);
  if (!user) {
    return std::move(user).error();
  }
  std::unique_ptr<App> app(new App(std::move(config)));
  app->worker_user_ = *user;
  auto signals = stop_signals();
  if (!signals) {
    return std::move(signals).error();
  }
  app->signals_ = std::move(*signals);
  if (auto done = harden_process(); !done) {
    return std::move(done).error();
  }
  never_interrupt_others();
  for (const std::string& warning : app->config_.warnings) {
    log::warn("{}", warning);
  }
  using Step = Result<void> (App::*)();
  for (const Step step : {&App::be_the_only_one, &App::open_log, &App::open_audit, &App::open_hooks,
                          &App::open_data_path, &App::open_channel, &App::open_control_socket, &App::open_metrics}) {
    if (auto done = (app.get()->*step)(); !done) {
      app->take_hooks_back();
      return std::move(done).error();
    }
  }
  return app;
}

App::~App() {
  heartbeat_.reset();
  upkeep_.reset();
  status_writer_.reset();
  metrics_.reset();
  control_.reset();
  channel_.reset();
  if (data_) {
    data_->drain(kDrainMs);
  }
  names_.reset();
  data_.reset();
  if (audit_) {
    audit_->flush_and_stop();
  }
}

// Before anything of an agent that runs is touched: its audit log, its hooks.
Result<void> App::be_the_only_one() {
  auto lock = intercept::lock_pins(config_.bpf_pin_directory);
  if (!lock) {
    return std::move(lock).error();
  }
  lock_ = std::move(*lock);
  return {};
}

/// The existing agent's log file, for tools that collect it. Without it the journal has all lines.
Result<void> App::open_log() {
  if (!config_.log_folder.starts_with('/')) {
    return {};
  }
  const std::string path = config_.log_file();
  if (auto opened = log::also_to_file(path, config_.file_log_level); !opened) {
    log::write(std::move(opened).error().context("there is no log file"));
  }
  return {};
}

Result<void> App::open_audit() {
  if (config_.audit_file.empty()) {
    return {};
  }
  const std::filesystem::path folder = std::filesystem::path(config_.audit_file).parent_path();
  if (std::error_code none; !std::filesystem::exists(folder, none)) {
    if (auto made = file::ensure_directory(folder.string(), 0750); !made) {
      return std::move(made).error().context("audit log");
    }
  }
  audit::Config settings;
  settings.path = config_.audit_file;
  settings.rotate_bytes = config_.audit_max_bytes;
  settings.keep = config_.audit_keep_files;
  auto opened = audit::Log::open(settings, clock_);
  if (!opened) {
    return std::move(opened).error();
  }
  audit_ = std::move(*opened);
  return {};
}

Result<void> App::open_hooks() {
  intercept::Config settings;
  settings.cgroup_path = config_.cgroup.value_or("");
  settings.agent_cgroup_path = config_.agent_cgroup.value_or("");
  settings.pin_directory = config_.bpf_pin_directory;
  hooks_to_take_back_ = !intercept::any_link_pinned(config_.bpf_pin_directory);
  auto opened = intercept::Interceptor::open(settings);
  if (!opened) {
    return std::move(opened).error();
  }
  hooks_ = std::move(*opened);
  log::info("hooks {} at {}", hooks_->adopted() ? "taken over" : "attached", hooks_->cgroup_path());
  return {};
}

Result<void> App::open_data_path() {
  // The hooks must know the listener before it is proven. Ever latched: closed from the first moment (protocol.md
  // L.30); the channel's first state, which repeats that, comes later.
  std::string why;
  const channel::KeyStore keys(config_.latch_key_folder, config_.state_directory);
  if (auto done = hooks_->set_settings(closed_settings(config_, keys.ever_latched(why))); !done) {
    return done;
  }
  listener_ = std::make_unique<ListenerKeeper>(loop_, manager_, *hooks_, config_.listen);
  if (auto done = listener_->open(); !done) {
    return done;
  }
  DataLink::Parts parts{
      .user = worker_user_,
      .settings = make_proxy_settings(config_),
      .marker = *hooks_,
      .audit = audit_ ? &audit_->share() : nullptr,
      .wishes = {.notify = [this] { grant([this] { on_notify(); }); },
                 .name =
                     [this](std::uint32_t id, bool group) {
                       grant([this, id, group] {
                         if (names_) {
                           group ? names_->want_group(id) : names_->want_user(id);
                         }
                       });
                     },
                 .executables =
                     [this](std::uint64_t ticket) {
                       grant([this, ticket] {
                         if (keeper_) {
                           keeper_->want_executables(ticket);
                         }
                       });
                     },
                 .place =
                     [this](std::uint64_t id, std::uint64_t ticket) {
                       grant([this, id, ticket] {
                         if (keeper_) {
                           keeper_->want_cgroup(id, ticket);
                         }
                       });
                     }},
  };
  auto data = DataLink::start(std::move(parts));
  if (!data) {
    return std::move(data).error();
  }
  data_ = std::move(*data);
  auto names = identity::NameResolver::start(kNameTtlMs, [this](std::shared_ptr<const identity::NameTable> table) {
    loop_.post([this, table] { name_table_ = table; });
    data_->set_names(std::move(table));
  });
  if (!names) {
    return std::move(names).error();
  }
  names_ = std::move(*names);
  return listener_->serve(*data_);
}

/// On the control thread, soon. The worker asks for little; one that floods is not ours any more, and is not heard.
void App::grant(std::function<void()> wish) {
  if (wishes_.fetch_add(1) >= kMostWishes) {
    wishes_.fetch_sub(1);
    return;
  }
  loop_.post([this, wish = std::move(wish)] {
    wishes_.fetch_sub(1);
    wish();
  });
}

Result<void> App::open_channel() {
  const std::string rules_directory = config_.rules_folder();
  local_rules_ = std::make_unique<rules::LocalDirectory>(rules_directory);
  auto cgroup = config_.reference_cgroup ? Result(*config_.reference_cgroup) : intercept::cgroup2_root();
  if (!cgroup) {
    return std::move(cgroup).error();
  }
  keeper_ = std::make_unique<IdentityKeeper>(loop_, *data_, *hooks_, config_.reference_root, *std::move(cgroup));
  rules_ = std::make_unique<rules::Publisher>(config_.matching, *local_rules_,
                                              [this](const std::shared_ptr<const policy::Snapshot>& rules) {
                                                keeper_->follow(*rules);
                                                const auto items = rules_->items();
                                                data_->set_rules(rules_message(items, *rules));
                                                files_.rules(items, *rules, clock_.realtime_ns());
                                              });
  // That there are none yet: a gate of a host that has the channel disabled wants no more.
  data_->set_rules(rules_message(rules_->items(), *rules_->current()));
  channel::Channel::Settings settings;
  settings.host = config_.service(Service::kWireServer).endpoint;
  settings.key_directory = config_.latch_key_folder;
  settings.state_directory = config_.state_directory;
  settings.machine_file = config_.machine_id_file;
  settings.interval_ms = config_.poll_interval_ms;
  channel_ = std::make_unique<channel::Channel>(
      loop_, buffers_, clock_, [this](const Ipv4Endpoint&) { return marked_socket(*hooks_); }, settings,
      [this](std::shared_ptr<const channel::ChannelState> state) { on_channel(std::move(state)); },
      [this] {
        follow_local_rules();
        if (local_watch_) {
          (void)local_watch_->look_again();
        }
      });
  if (auto done = channel_->start(); !done) {
    return done;
  }
  watch_local_rules(rules_directory);
  return {};
}

Result<void> App::open_control_socket() {
  control_ = std::make_unique<status::ControlServer>(
      loop_, buffers_,
      status::ControlServer::Sources{.status = [this] { return snapshot(); },
                                     .rules = [this] { return rules_in_force(); }});
  if (auto done = control_->listen(config_.control_socket); !done) {
    return done;
  }
  if (files_.wants_status()) {
    status_writer_.emplace(write_status_file());
  }
  return {};
}

Result<void> App::open_metrics() {
  if (config_.metrics_listen.empty()) {
    return {};
  }
  metrics_ = std::make_unique<http::MetricsServer>(
      loop_, buffers_, [this]() -> Task<std::string> { co_return status::metrics_text(snapshot()); });
  return metrics_->listen(config_.metrics_listen, "agent");
}

void App::on_channel(std::shared_ptr<const channel::ChannelState> state) {
  state_ = std::move(state);
  // Before the first good answer there are no rules: a gate without rules is not ready.
  if (state_->document) {
    rules_->apply(*state_->document);
  }
  const auto wanted = make_hook_settings(config_, *state_);
  // Closing: the data path refuses before the hooks redirect more; opening: the other way round makes no difference,
  // since what is not redirected never asks the data path.
  install_gate();
  if (!(hook_settings_ && same(*hook_settings_, wanted))) {
    if (auto done = hooks_->set_settings(wanted); done) {
      hook_settings_ = wanted;
      hooks_message_.clear();
      log::info("channel {}: {}; redirecting {}", channel::to_string(state_->phase), state_->state,
                redirected(*state_));
    } else {
      hooks_message_ = done.error().text();
      log::write(done.error());
    }
  }
  tell_manager("", fmt::format("{}: {}", channel::to_string(state_->phase), state_->message));
  report();
}

void App::install_gate() {
  auto rules = state_->document ? rules_->current() : nullptr;
  data_->install(std::make_shared<const proxy::Gate>(make_gate(*state_, std::move(rules))));
}

void App::on_notify() {
  if (channel_ && channel_->notify()) {
    provisioning_.restart(clock_.boottime_ms());
  }
}

void App::report_provisioning() {
  using status::Provisioning;
  const std::int64_t now = clock_.realtime_ns();
  bool tags_due = hook_settings_ && provisioning_.report(Provisioning::kRedirector, now);
  tags_due |= provisioning_.report(Provisioning::kListener, now);
  if (state_->key || state_->phase == channel::Phase::kDisabled) {
    tags_due |= provisioning_.report(Provisioning::kKeyLatch, now);
  } else {
    provisioning_.withdraw(Provisioning::kKeyLatch);
  }
  tags_due |= provisioning_.check_timeout(clock_.boottime_ms(), now);
  if (provisioning_.finished_tick_ns() != 0 && !std::exchange(started_up_, true)) {
    release_startup_memory();
  }
  status::ProvisionView view;
  view.finished_tick_ns = provisioning_.finished_tick_ns();
  view.channel_wanted = state_->phase != channel::Phase::kDisabled && state_->phase != channel::Phase::kUnknown;
  view.error_message = provisioning_.error_text({hooks_message_, state_->message, "listening"});
  if (tags_due) {
    files_.tags(view.error_message, now);
  }
  data_->update_status(std::move(view), status::aggregate_json(snapshot(), json::Style::kCompact, config_.status_file));
}

status::Snapshot App::snapshot() const {
  SnapshotParts parts;
  parts.config = &config_;
  parts.hooks = hooks_.get();
  parts.hooks_message = hooks_message_;
  parts.channel = state_.get();
  parts.rules = rules_.get();
  parts.counters = data_ ? &data_->counters() : nullptr;
  parts.audit = audit_.get();
  parts.names = name_table_.get();
  parts.uptime_s = (clock_.boottime_ms() - started_ms_) / 1000;
  parts.now_ns = clock_.realtime_ns();
  parts.boot_ms = static_cast<std::int64_t>(clock_.boottime_ms());
  return make_snapshot(parts);
}

status::RulesInForce App::rules_in_force() const {
  status::RulesInForce out;
  const policy::Snapshot& rules = *rules_->current();
  out.in_force = state_->document != nullptr;
  out.generation = rules.generation;
  out.matching = policy::to_string(rules.matching);
  out.requests = to_string(make_gate(*state_, rules_->current()).readiness);
  out.items = rules_->items();
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    out.services[i] = rules_->report(static_cast<Service>(i));
  }
  return out;
}

/// Who reads the file must not take a state for the present one that has passed.
void App::report() {
  report_provisioning();
  if (status_writer_) {
    files_.status(status::aggregate_json(snapshot(), json::Style::kPretty, config_.status_file));
  }
}

Task<> App::write_status_file() {
  for (;;) {
    report_provisioning();
    files_.status(status::aggregate_json(snapshot(), json::Style::kPretty, config_.status_file));
    co_await loop_.sleep_until(loop_.after_ms(std::uint64_t{1000} * config_.status_interval_s));
  }
}

/// `more` is shown by "systemctl status"; it may hold anything.
void App::tell_manager(std::string_view state, std::string_view more) const {
  if (auto told = manager_.notify(fmt::format("{}STATUS={}", state, log::escape(more))); !told) {
    log::write(told.error());
  }
}

void App::stop(std::string_view why) {
  tell_manager("STOPPING=1\n", "answering what is in flight");
  log::write(log::Level::kInfo, fmt::format("stopping ({}): requests in flight are answered, the gate stays shut", why),
             {{"MSP_EVENT", "stopping"}});
  loop_.stop();
}

void App::on_signal(const Reread& reread) {
  signalfd_siginfo info{};
  if (::read(signals_.get(), &info, sizeof(info)) != sizeof(info)) {
    return;
  }
  if (info.ssi_signo == SIGHUP) {
    reload(reread);
  } else {
    stop("signal");
  }
}

/// What cannot be read changes nothing. A restart loses no connection, so few things need to change without one.
void App::reload(const Reread& reread) {
  tell_manager("RELOADING=1\n", "reading the configuration again");
  if (auto fresh = reread(); !fresh) {
    log::write(std::move(fresh).error().context("not reloaded, the configuration stays as it was"));
  } else {
    const bool all = take_over(config_, *fresh);
    log::set_level(config_.log_level);
    data_->follow_log_level();
    if (status_writer_) {
      status_writer_.emplace(write_status_file());  // at once, and then by the new interval
    }
    log::write(log::Level::kInfo, "configuration and local rule files are read again", {{"MSP_EVENT", "reloaded"}});
    if (!all) {
      log::warn("the configuration has changes that take effect with the next start");
      log::hint("systemctl restart msp-agent; connects wait meanwhile");
    }
  }
  follow_local_rules();
  tell_manager("READY=1\n", fmt::format("{}: {}", channel::to_string(state_->phase), state_->message));
}

Result<void> App::run(Until until, const Reread& reread) {
  Watch signals(loop_, signals_.get(), [&](std::uint32_t) { on_signal(reread); });
  if (auto started = signals.start(); !started) {
    return started;
  }
  Watch input(loop_, STDIN_FILENO, [&](std::uint32_t) {
    if (has_line_or_end(STDIN_FILENO)) {
      input.stop();
      stop("standard input");
    }
  });
  if (until == Until::kLineOrSignal && !input.start()) {
    // Not to be watched: a file, /dev/null, or closed. What it says is there already.
    stop("standard input");
  }
  // Hooks, listener and control socket are there; the key may still be on its way.
  tell_manager("READY=1\n", fmt::format("{}: {}", channel::to_string(state_->phase), state_->message));
  heartbeat_ = std::make_unique<Heartbeat>(loop_, *data_, manager_);
  upkeep_.emplace(look_after());
  log::write(
      log::Level::kInfo,
      fmt::format("ready: listening on {}{}", to_string(config_.listen), listener_->adopted() ? " (taken over)" : ""),
      {{"MSP_EVENT", "ready"}, {"MSP_VERSION", std::string(version())}});
  loop_.run();
  return {};
}

}  // namespace msp::agent
