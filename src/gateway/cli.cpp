// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/signalfd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "base/log_sinks.h"
#include "base/process.h"
#include "base/version.h"
#include "gateway/app.h"
#include "gateway/restore.h"

namespace msp::gateway {
namespace {

constexpr std::uint64_t kDrainMs = 5'000;
constexpr int kFailed = 1;
constexpr int kBadUsage = 2;

Result<Fd> take_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
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

Task<void> drain_and_stop(HostApp& app, Loop& loop) {
  co_await app.drain(loop.after_ms(kDrainMs));
  loop.stop();
}

int fail(const Error& error, int status) {
  log::leave_journal();
  log::write(error);
  return status;
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

int serve(Config config) {
  log::use_journal();
  if (auto hardened = harden_process(); !hardened) {
    return fail(hardened.error(), kFailed);
  }
  // Before any thread exists, so that all of them leave the signals to the loop.
  auto signals = take_signals();
  if (!signals) {
    return fail(signals.error(), kFailed);
  }
  const SystemClock clock;
  Loop loop;
  if (auto ready = loop.ready(); !ready) {
    return fail(ready.error(), kFailed);
  }
  auto app = HostApp::start(std::move(config), loop, clock);
  if (!app) {
    return fail(app.error(), app.error().source == Source::kConfig ? kBadUsage : kFailed);
  }
  bool ending = false;
  Watch watch(loop, signals->get(), [&](std::uint32_t) {
    signalfd_siginfo info{};
    while (::read(signals->get(), &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info))) {
      if (info.ssi_signo == SIGUSR1) {
        (*app)->log_counters();
      } else if (ending) {
        loop.stop();
      } else {
        ending = true;
        log::info("ending: answering what is in flight");
        drain_and_stop(**app, loop).detach();
      }
    }
  });
  if (auto watching = watch.start(); !watching) {
    return fail(watching.error(), kFailed);
  }
  log::info("msp-host {} serves {} virtual machines", version(), (*app)->registry().all().size());
  release_startup_memory();
  loop.run();
  (*app)->log_counters();
  return 0;
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
  cli.set_version_flag("--version", "msp-host " + std::string(version()));
  try {
    cli.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return cli.exit(error) == 0 ? 0 : kBadUsage;
  }
  auto config = load_config(path);
  if (!config) {
    return fail(config.error(), kBadUsage);
  }
  if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY"); credentials != nullptr) {
    config->credentials_directory = credentials;
  }
  log::set_level(config->log_level);
  if (!backup.empty()) {
    return put_back(*config, backup);
  }
  return only_check ? check(*config) : serve(std::move(*config));
}

}  // namespace msp::gateway
