// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/log_sinks.h"
#include "base/process.h"
#include "base/version.h"
#include "gateway/app.h"
#include "gateway/kept_listeners.h"
#include "gateway/restore.h"

namespace msp::gateway {
namespace {

constexpr std::uint64_t kDrainMs = 5'000;
constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

Result<Fd> take_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
    ::sigaddset(&set, signal);
  }
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) {
    return errno_error("block signals");
  }
  ::signal(SIGPIPE, SIG_IGN);
  Fd signals(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!signals) {
    return errno_error("signalfd");
  }
  return signals;
}

void tell(const ServiceManager& manager, std::string_view what) {
  if (auto told = manager.notify(what); !told) {
    log::warn("the service manager was not told {}: {}", what, told.error().text());
  }
}

int fail(const Error& error, int status) {
  log::leave_journal();
  log::write(error);
  return status;
}

/// The file, and what the service manager gives beside it.
Result<Config> read_config(const std::string& path) {
  auto config = load_config(path);
  const char* credentials = std::getenv("CREDENTIALS_DIRECTORY");
  if (config && credentials != nullptr) {
    config->credentials_directory = credentials;
  }
  return config;
}

int check(const Config& config) {
  auto inventory = Inventory::load(config);
  if (!inventory) {
    return fail(inventory.error(), kBadUsage);
  }
  std::printf("configuration is good: %zu listeners, %zu virtual machines\n", config.listeners.size(),
              (*inventory)->registry().all().size());
  return 0;
}

int put_back(const Config& config, const std::string& backup) {
  const auto restored = restore(config, backup);
  if (!restored) {
    return fail(restored.error(), restored.error().source == Source::kConfig ? kBadUsage : kFailed);
  }
  std::printf("%s is restored: %zu machines, %zu of them with a key that holds\n", backup.c_str(), restored->machines,
              restored->latched);
  if (restored->why_lost.empty()) {
    std::printf("keys are those of the database that was there; keyIncarnationId was raised since in %zu models\n",
                restored->raised);
  } else {
    std::printf(
        "every key has ended, agents latch new ones: what became of them since the backup cannot be told (%s)\n",
        restored->why_lost.c_str());
  }
  if (!restored->old_database.empty()) {
    std::printf("the database that was there is %s now\n", restored->old_database.c_str());
  }
  return 0;
}

/// How msp-host was called: so is the program that takes its place.
struct Call {
  std::string config_path;
  std::vector<std::string> arguments;
  std::string program;  ///< path of its file: another version may lie there by then
};

/// A host that runs, from its signals to its end.
class Run {
 public:
  Run(Loop& loop, HostApp& app, KeptListeners& kept, const Call& call)
      : loop_(loop), app_(app), kept_(kept), call_(call) {}

  void on_signal(std::uint32_t signal) {
    if (signal == SIGUSR1) {
      app_.log_counters();
    } else if (ending_ && signal != SIGHUP) {
      loop_.stop();
    } else if (!ending_ && (signal != SIGHUP || may_begin_anew())) {
      end(signal == SIGHUP);
    }
  }
  bool begins_anew() const { return anew_; }

 private:
  bool may_begin_anew() {
    auto config = read_config(call_.config_path);
    auto fits = config ? app_.fits(*config) : Result<void>(std::move(config).error());
    if (fits && ::access(call_.program.c_str(), X_OK) != 0) {
      fits = errno_error("the program that would take over, " + call_.program);
    }
    if (fits) {
      return true;
    }
    log::write(std::move(fits).error().context("nothing has changed"));
    return false;
  }
  void end(bool anew) {
    ending_ = true;
    anew_ = anew;
    log::info("{}: answering what is in flight", anew ? "beginning anew" : "ending");
    tell(kept_.manager(), anew ? "RELOADING=1" : "STOPPING=1");
    if (!anew) {
      kept_.let_go();
    }
    drain().detach();
  }
  Task<void> drain() {
    co_await app_.drain(loop_.after_ms(kDrainMs));
    loop_.stop();
  }

  Loop& loop_;
  HostApp& app_;
  KeptListeners& kept_;
  const Call& call_;
  bool ending_ = false;
  bool anew_ = false;
};

/// Serves until a signal ends it. True: it begins anew.
Result<bool> run(Config config, KeptListeners& kept, const Call& call, const Fd& signals) {
  const SystemClock clock;
  Loop loop;
  if (auto ready = loop.ready(); !ready) {
    return std::move(ready).error();
  }
  auto app = HostApp::start(std::move(config), loop, clock, kept);
  if (!app) {
    return std::move(app).error();
  }
  Run course(loop, **app, kept, call);
  Watch watch(loop, signals.get(), [&](std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(signals.get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      course.on_signal(info.ssi_signo);
    }
  });
  if (auto watching = watch.start(); !watching) {
    return std::move(watching).error();
  }
  log::info("msp-host {} serves {} virtual machines", version(), (*app)->registry().all().size());
  tell(kept.manager(), "READY=1");
  release_startup_memory();
  loop.run();
  (*app)->log_counters();
  return course.begins_anew();
}

int serve(Config config, const Call& call) {
  log::use_journal();
  if (auto hardened = harden_process(); !hardened) {
    return fail(hardened.error(), kFailed);
  }
  // Before any thread exists, so that all of them leave the signals to the loop.
  auto signals = take_signals();
  if (!signals) {
    return fail(signals.error(), kFailed);
  }
  KeptListeners kept(ServiceManager::from_environment());
  const auto ended = run(std::move(config), kept, call, *signals);
  if (!ended) {
    return fail(ended.error(), ended.error().source == Source::kConfig ? kBadUsage : kFailed);
  }
  if (!*ended) {
    return 0;
  }
  // Database and log are closed, signals wait for the next.
  return fail(take_the_place_of_this(call.program, call.arguments, kept.hand_over()), kFailed);
}

}  // namespace

int host_main(int argc, const char* const* argv) {
  log::use_stderr();
  CLI::App cli("msp-host: the host side of the Metadata Security Protocol", "msp-host");
  std::string path = "/etc/msp-host/msp-host.json";
  std::string backup;
  bool only_check = false;
  cli.add_option("--config", path, "configuration file")->capture_default_str()->type_name("FILE");
  cli.add_flag("--check-config", only_check, "read configuration, models and profiles, then end");
  cli.add_option("--restore", backup, "put a backup in the place of the database, then end; no host may run")
      ->type_name("FILE");
  cli.set_version_flag("--version", "msp-host " + std::string(version()), "print the version, then end");
  cli.footer(
      "Without --check-config and --restore it serves. SIGTERM ends it, SIGHUP begins anew with the configuration that "
      "is\n"
      "there then, SIGUSR1 writes counters to the log; models of a running one: mspctl vm --help.\n"
      "Exit code: 0 ended as asked, 1 failed, 2 bad usage or configuration.");
  for (CLI::Option* option : cli.get_options()) {
    option->disable_flag_override();
  }
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : kBadUsage;
  }
  auto config = read_config(path);
  if (!config) {
    return fail(config.error(), kBadUsage);
  }
  log::set_level(config->log_level);
  if (!backup.empty()) {
    return put_back(*config, backup);
  }
  if (only_check) {
    return check(*config);
  }
  std::error_code failed;
  const Call call{.config_path = path,
                  .arguments = {argv, argv + argc},
                  .program = std::filesystem::read_symlink("/proc/self/exe", failed).string()};
  return serve(std::move(*config), call);
}

}  // namespace msp::gateway
