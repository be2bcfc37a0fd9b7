// SPDX-License-Identifier: Apache-2.0
#include "agent/setup.h"

#include <fmt/ranges.h>
#include <unistd.h>

#include <array>
#include <filesystem>

#include "agent/setup_backup.h"
#include "agent/setup_state.h"
#include "agent/system_service.h"
#include "base/clock.h"
#include "base/external_program.h"
#include "base/file.h"
#include "base/log.h"
#include "base/log_sinks.h"
#include "intercept/interceptor.h"

namespace msp::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kUnit = "msp-agent.service";
constexpr std::string_view kRetryUnit = "msp-agent-retry.service";
constexpr std::string_view kReplacedPath = "msp-agent-replaced.path";
constexpr std::string_view kReplacedUnit = "msp-agent-replaced.service";
constexpr std::string_view kFieldUnit = "azure-proxy-agent.service";
/// Left while another agent has our place.
constexpr std::string_view kMadeWay = "/var/lib/azure-proxy-agent/made-way";
constexpr std::string_view kPackageOfBundle = "ProxyAgent";
constexpr std::string_view kPackageOfBackup = "Package";
/// How long the other agent's setup tool may take from its program to its unit.
constexpr std::uint64_t kOtherUnitMs = 10'000;
constexpr std::size_t kMostProgram = std::size_t{64} << 20;

std::string backup_of(const std::string& bundle) { return bundle + "/ProxyAgent/Backup"; }

/// Ends with an error that names all that is missing, before anything is touched.
Result<void> all_there(const std::string& folder, std::string_view package, std::span<const SetupFile> files) {
  for (const SetupFile& file : files) {
    const std::string path = source_path(folder, package, file);
    if (file.needed && ::access(path.c_str(), R_OK) != 0) {
      return errno_error(fmt::format("nothing is installed: cannot read {}", path));
    }
  }
  return {};
}

/// A program that may not take over the hooks that are there would leave the machine without an agent: it is asked
/// before anything is replaced. One from before the question does not know it, and is asked by its start.
Result<void> may_take_hooks_over(const std::string& program) {
  constexpr int kNo = 1;
  if (auto trusted = file::read(program, file::configuration(), kMostProgram); !trusted) {
    return std::move(trusted).error();
  }
  auto answer = run_program({program, "check-hooks"});
  if (!answer) {
    return std::move(answer).error();
  }
  return *answer == kNo ? config_error("nothing is replaced: the agent that is installed goes on") : Result<void>();
}

}  // namespace

Setup::Setup(SetupOptions options)
    : options_(std::move(options)), root_(options_.root), managed_(systemd_runs(root_)) {}

Result<void> Setup::refuse_package() const {
  for (const std::string_view target : {kOurProgram, kFieldProgram}) {
    if (auto free = owned_by_no_package(root_, target); !free) {
      return free;
    }
  }
  return {};
}

Result<std::string> Setup::bundle() const {
  std::string folder;
  if (options_.bundle) {
    folder = *options_.bundle;
  } else {
    std::error_code failed;
    fs::path here = fs::read_symlink("/proc/self/exe", failed).parent_path();
    if (here.filename() == kPackageOfBundle) {
      here = here.parent_path();
    }
    folder = here.string();
  }
  if (::access(fmt::format("{}/{}", folder, kPackageOfBundle).c_str(), F_OK) != 0) {
    return config_error(fmt::format("{} is no bundle: it has no folder {}", folder, kPackageOfBundle),
                        "unpack openmsp-agent_VERSION_ARCH.tar.gz and call setup from there, or name it with --bundle");
  }
  return folder;
}

Result<void> Setup::install() const {
  if (auto free = refuse_package(); !free) {
    return free;
  }
  auto folder = bundle();
  if (!folder) {
    return std::move(folder).error();
  }
  return deploy(*folder, kPackageOfBundle, !root_.has(kConfigFile));
}

Result<void> Setup::deploy(const std::string& folder, std::string_view package, bool with_config) const {
  if (auto there = all_there(folder, package, our_files()); !there) {
    return there;
  }
  if (managed_ && root_.has(kOurProgram)) {
    if (auto may = may_take_hooks_over(source_path(folder, package, our_files().front())); !may) {
      return may;
    }
  }
  if (auto may = root_.changeable(kFieldUnitFile); !may) {
    return std::move(may).error().context("nothing is replaced");
  }
  if (auto may = may_enable(root_, kUnit); !may) {
    return std::move(may).error().context("nothing is replaced");
  }
  Installation installation(root_);
  if (auto copied = installation.add_all(folder, package, our_files()); !copied) {
    return copied;
  }
  if (auto copied = with_config ? installation.add_all(folder, package, {&config_file(), 1}) : Result<void>();
      !copied) {
    return copied;
  }
  // The other agent goes when ours is there.
  if (auto done = installation.finish(); !done) {
    return done;
  }
  if (auto done = remove_field_service(); !done) {
    return std::move(done).error().context(
        "the files are in place, the service of the existing agent is not removed, and ours is not started; run it "
        "again");
  }
  make_worker_user(root_);
  return start(kUnit);
}

/// Enables a unit whose files are there; on a system that runs it is started, or started again: connects wait.
Result<void> Setup::start(std::string_view unit) const {
  const std::string name(unit);
  if (managed_) {
    if (auto done = systemctl(root_, {"daemon-reload"}); !done) {
      return done;
    }
  }
  if (auto done = systemctl(root_, {"enable", name}); !done) {
    return done;
  }
  if (!managed_) {
    log::info("{} is enabled; it starts with the system below {}", unit, root_.path("/"));
    return {};
  }
  if (unit == kUnit) {
    // Who has made way once and is wanted again.
    systemctl_quietly(root_, {"disable", std::string(kReplacedPath)});
    if (auto done = root_.remove(kMadeWay); !done) {
      return done;
    }
  }
  // Earlier failures count for the limit of starts, and must not keep this one from starting.
  systemctl_quietly(root_, {"reset-failed", name});
  return systemctl(root_, {"restart", name});
}

/// The field's agent holds our port, and its unit our alias. Where it is not there, nothing happens.
Result<void> Setup::remove_field_service() const {
  if (!root_.has(kFieldUnitFile)) {
    return {};
  }
  // Never through our alias of the same name: that would stop ours.
  if (managed_ && !root_.has(kOurAlias)) {
    // A unit that is gone by now was removed by the watch for our place, which stops it first.
    if (auto done = systemctl(root_, {"stop", std::string(kFieldUnit)}); !done && root_.has(kFieldUnitFile)) {
      return done;
    }
  }
  systemctl_quietly(root_, {"disable", std::string(kFieldUnit)});
  return root_.remove(kFieldUnitFile);
}

Result<void> Setup::backup() const {
  auto folder = bundle();
  if (!folder) {
    return std::move(folder).error();
  }
  const std::string to = backup_of(*folder);
  if (auto begun = begin_backup(to, kPackageOfBackup); !begun) {
    return begun;
  }
  auto missing = copy_installed(unfinished_backup(to));
  if (missing && missing->empty()) {
    return finish_backup(to);
  }
  abandon_backup(to);
  constexpr std::string_view kNothing = "nothing is backed up; a backup of before stays";
  if (!missing) {
    return std::move(missing).error().context(std::string(kNothing));
  }
  // No failure, as with the field's tool: an installation goes on after it.
  log::warn("{}: not installed: {}", kNothing, fmt::join(*missing, ", "));
  return {};
}

Result<std::vector<std::string>> Setup::copy_installed(const std::string& to) const {
  const bool fields = root_.field_name_holder() == Root::Holder::kAnother;
  std::vector<SetupFile> files{config_file()};
  for (const SetupFile& file : fields ? field_files() : our_files()) {
    files.push_back(file);
  }
  std::vector<std::string> missing;
  for (const SetupFile& file : files) {
    auto there = copy_out(root_, file.target, source_path(to, kPackageOfBackup, file), file.mode);
    if (!there) {
      return std::move(there).error();
    }
    if (!*there && file.needed) {
      missing.push_back(root_.path(file.target));
    }
  }
  return missing;
}

Result<void> Setup::restore(bool delete_backup) const {
  if (auto free = refuse_package(); !free) {
    return free;
  }
  auto folder = bundle();
  if (!folder) {
    return std::move(folder).error();
  }
  const std::string from = backup_of(*folder);
  if (auto settled = settle_backup(from); !settled) {
    return settled;
  }
  const std::string program = fmt::format("{}/{}/azure-proxy-agent", from, kPackageOfBackup);
  if (::access(program.c_str(), F_OK) != 0) {
    log::info("there is no backup at {}: nothing is restored", from);
    return {};
  }
  const bool ours = ::access(fmt::format("{}/{}", from, kUnit).c_str(), F_OK) == 0;
  if (auto done = ours ? deploy(from, kPackageOfBackup, true) : restore_field(from); !done) {
    return done;
  }
  return delete_backup ? remove_backup(from) : Result<void>();
}

/// All that goes, and what the field's unit needs after that.
Result<void> Setup::may_make_room() const {
  for (const std::string_view target : removed(Extent::kPackage)) {
    if (auto may = root_.changeable(target); !may) {
      return may;
    }
  }
  return may_enable(root_, kFieldUnit);
}

/// Who asks for the other agent asks for ours to go: the hooks, too.
Result<void> Setup::restore_field(const std::string& folder) const {
  if (auto there = all_there(folder, kPackageOfBackup, field_files()); !there) {
    return there;
  }
  Installation installation(root_);
  for (const std::span<const SetupFile> files : {std::span(&config_file(), 1), field_files()}) {
    if (auto copied = installation.add_all(folder, kPackageOfBackup, files); !copied) {
      return copied;
    }
  }
  if (auto may = may_make_room(); !may) {
    return std::move(may).error().context("nothing is replaced");
  }
  // First: it removes files by names that are the other's afterwards.
  if (auto done = uninstall(Extent::kPackage); !done) {
    return done;
  }
  if (auto done = installation.finish(); !done) {
    return std::move(done).error().context("this agent is uninstalled by now");
  }
  return start(kFieldUnit);
}

Result<void> Setup::purge() const {
  auto folder = bundle();
  return folder ? remove_backup(backup_of(*folder)) : Result<void>(std::move(folder).error());
}

/// In the order in which they go; the program is the last.
std::vector<std::string_view> Setup::removed(Extent extent) const {
  std::vector<std::string_view> targets;
  for (const SetupFile& file : our_files()) {
    if (is_unit(file)) {
      targets.push_back(file.target);
    }
  }
  if (extent == Extent::kService) {
    return targets;
  }
  targets.insert(targets.end(), {"/usr/bin/mspctl", kWorkerProgram, kConfigFile});
  if (root_.field_name_holder() == Root::Holder::kOurs) {
    targets.push_back(kFieldProgram);
  }
  targets.push_back(kOurProgram);
  return targets;
}

Result<void> Setup::uninstall(Extent extent) const {
  if (auto free = refuse_package(); !free) {
    return free;
  }
  if (auto done = stop_ours(); !done) {
    return done;
  }
  // Before any file goes: hooks without a program that could remove them would shut metadata for good.
  if (auto done = remove_hooks(); !done) {
    return done;
  }
  if (auto done = remove_units(); !done) {
    return done;
  }
  if (extent == Extent::kService) {
    return {};
  }
  // Before it goes, too.
  const auto config = extent == Extent::kState ? config_of_state() : std::nullopt;
  for (const std::string_view target : removed(extent)) {
    if (auto done = root_.remove(target); !done) {
      return done;
    }
  }
  return extent == Extent::kState ? remove_state(config) : Result<void>();
}

Result<void> Setup::stop_ours() const {
  if (!managed_ || !root_.has("/usr/lib/systemd/system/msp-agent.service")) {
    return {};
  }
  return systemctl(root_, {"stop", std::string(kReplacedPath), std::string(kRetryUnit), std::string(kUnit)});
}

Result<void> Setup::remove_hooks() const {
  if (!root_.is_machine() || in_chroot()) {
    return {};  // those in the kernel are another system's
  }
  auto config = load_config(options_.config, process_environment());
  if (!config && options_.config) {
    return std::move(config).error();
  }
  const std::string pins = config ? config->bpf_pin_directory : Config().bpf_pin_directory;
  if (auto done = intercept::uninstall(pins); !done) {
    return std::move(done).error().context("the hooks are still there, and keep metadata shut; nothing is removed");
  }
  log::info("the hooks below {} are gone: metadata is no longer guarded", pins);
  return {};
}

Result<void> Setup::remove_units() const {
  if (root_.has("/usr/lib/systemd/system/msp-agent.service")) {
    systemctl_quietly(root_, {"disable", std::string(kUnit), std::string(kReplacedPath)});
  }
  for (const std::string_view target : removed(Extent::kService)) {
    if (auto done = root_.remove(target); !done) {
      return done;
    }
  }
  if (managed_) {
    systemctl_quietly(root_, {"daemon-reload"});
  }
  return {};
}

std::optional<Config> Setup::config_of_state() const {
  const bool elsewhere = !root_.is_machine() && !options_.config;
  if (elsewhere && !root_.has(kConfigFile)) {
    return std::nullopt;
  }
  auto config = load_config(elsewhere ? root_.path(kConfigFile) : options_.config, process_environment());
  if (!config) {
    log::warn("keys, rules and logs go from their usual places only: {}", config.error().text());
    return std::nullopt;
  }
  return *std::move(config);
}

Result<void> Setup::remove_state(const std::optional<Config>& config) const {
  const bool others = root_.field_name_holder() == Root::Holder::kAnother;
  if (config) {
    const auto extent = others ? StateExtent::kLogs : StateExtent::kAll;
    if (auto gone = remove_configured_state(root_, *config, extent); !gone) {
      return gone;
    }
  }
  for (const std::string_view folder : {"/var/log/openmsp", "/run/openmsp"}) {
    if (auto gone = remove_tree(root_.path(folder)); !gone) {
      return gone;
    }
  }
  if (others) {
    log::info("keys and rules stay: another agent of the same protocol uses them");
    return {};
  }
  for (const std::string_view folder : {"/var/lib/azure-proxy-agent", "/var/log/azure-proxy-agent"}) {
    if (auto gone = remove_tree(root_.path(folder)); !gone) {
      return gone;
    }
  }
  return {};
}

/// The work is another unit's: this one cannot be stopped from within its own start.
bool Setup::may_start() const {
  if (root_.field_name_holder() != Root::Holder::kAnother) {
    return true;
  }
  log::warn("another agent is at {}: not started", root_.path(kFieldProgram));
  systemctl_quietly(root_, {"--no-block", "start", std::string(kReplacedUnit)});
  return false;
}

Result<void> Setup::yield() const {
  log::use_journal();
  switch (root_.field_name_holder()) {
    case Root::Holder::kAnother:
      return give_way();
    case Root::Holder::kOurs:
      return root_.has(kMadeWay) ? come_back() : Result<void>();
    case Root::Holder::kNobody:
      return {};
  }
  return {};
}

Result<void> Setup::give_way() const {
  const std::string what =
      fmt::format("another agent has been put at {}: that uninstalls this one", root_.path(kFieldProgram));
  log::write(log::Level::kWarn, what, {{"MSP_EVENT", "another_agent"}});
  log::hint("to have msp-agent back: 'msp-agent setup install', or reinstall the package");
  say_on_console(what);
  if (managed_) {
    // Not the watch: what came may go again.
    if (auto done = systemctl(root_, {"stop", std::string(kRetryUnit), std::string(kUnit)}); !done) {
      return done;
    }
  }
  if (auto done = remove_hooks(); !done) {
    return done;
  }
  if (auto done = file::replace(root_.path(kMadeWay), "", {.mode = 0600, .owner = {}, .group = {}}); !done) {
    log::write(done.error());
  }
  return managed_ ? start_other() : Result<void>();
}

Result<void> Setup::start_other() const {
  // Our alias stands before the other's unit of that name.
  if (auto done = systemctl(root_, {"disable", std::string(kUnit)}); !done) {
    return done;
  }
  if (auto done = systemctl(root_, {"enable", "--now", std::string(kReplacedPath)}); !done) {
    return done;
  }
  const SystemClock clock;
  const std::uint64_t give_up = clock.boottime_ms() + kOtherUnitMs;
  while (!root_.has(kFieldUnitFile) && clock.boottime_ms() < give_up) {
    ::usleep(100'000);
  }
  if (!root_.has(kFieldUnitFile)) {
    log::warn("the other agent has no unit {}: it is not started", kFieldUnitFile);
    return {};
  }
  if (auto done = systemctl(root_, {"daemon-reload"}); !done) {
    return done;
  }
  if (auto done = systemctl(root_, {"enable", std::string(kFieldUnit)}); !done) {
    return done;
  }
  return systemctl(root_, {"--no-block", "start", std::string(kFieldUnit)});
}

Result<void> Setup::come_back() const {
  log::info("{} is ours again: msp-agent takes its service back", root_.path(kFieldProgram));
  if (managed_) {
    systemctl_quietly(root_, {"stop", std::string(kFieldUnit)});
  }
  if (auto done = remove_field_service(); !done) {
    return done;
  }
  return start(kUnit);
}

}  // namespace msp::agent
