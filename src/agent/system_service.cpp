// SPDX-License-Identifier: Apache-2.0
#include "agent/system_service.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "base/clock.h"
#include "base/external_program.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/version.h"

namespace msp::agent {
namespace {

/// Hard-coded: this runs as root, whatever PATH says.
std::string find_program(std::string_view name) {
  for (const std::string_view folder : {"/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/"}) {
    std::string path = fmt::format("{}{}", folder, name);
    if (::access(path.c_str(), X_OK) == 0) {
      return path;
    }
  }
  return {};
}

std::vector<std::string> command(const Root& root, const std::vector<std::string>& words) {
  std::vector<std::string> all = {find_program("systemctl")};
  if (!root.is_machine()) {
    all.push_back(fmt::format("--root={}", root.directory()));
  }
  std::ranges::copy(words, std::back_inserter(all));
  return all;
}

/// A package manager that answers 0 to a question about a path knows its package.
bool knows(std::vector<std::string> words, const std::string& database, std::string_view target) {
  if (words[0].empty() || ::access(database.c_str(), F_OK) != 0) {
    return false;
  }
  words.emplace_back(target);
  auto code = run_program(words, Output::kDropped);
  return code && *code == 0;
}

/// A link to /dev/null, or an empty file.
bool masked(const Root& root, std::string_view unit) {
  return std::ranges::any_of(std::array{"/etc/systemd/system", "/run/systemd/system"}, [&](std::string_view folder) {
    struct stat found{};
    return ::stat(root.path(fmt::format("{}/{}", folder, unit)).c_str(), &found) == 0 &&
           (S_ISCHR(found.st_mode) || (S_ISREG(found.st_mode) && found.st_size == 0));
  });
}

/// systemctl makes no link where something else is.
Result<void> alias_free(const Root& root, std::string_view unit) {
  const std::string alias = root.path(kOurAlias);
  std::error_code none;
  if (!root.has(kOurAlias) || std::filesystem::read_symlink(alias, none).filename() == unit) {
    return {};
  }
  return config_error(fmt::format("{} is there, where {} gets a link", alias, unit),
                      fmt::format("remove {}, or move it away", alias));
}

}  // namespace

bool systemd_runs(const Root& root) { return root.is_machine() && ::access("/run/systemd/system", F_OK) == 0; }

Result<void> systemctl(const Root& root, const std::vector<std::string>& words) {
  const auto all = command(root, words);
  if (all[0].empty()) {
    return config_error("there is no systemctl: the service cannot be set up",
                        "start /usr/sbin/msp-agent by the service manager of this system");
  }
  auto code = run_program(all);
  if (!code) {
    return std::move(code).error();
  }
  if (*code != 0) {
    std::string text = "systemctl";
    for (const std::string& word : words) {
      text += " " + word;
    }
    return config_error(fmt::format("'{}' ended with {}", text, *code), "its output and the journal say why");
  }
  return {};
}

void systemctl_quietly(const Root& root, const std::vector<std::string>& words) {
  if (const auto all = command(root, words); !all[0].empty()) {
    (void)run_program(all, Output::kDropped);
  }
}

Result<void> may_enable(const Root& root, std::string_view unit) {
  if (masked(root, unit)) {
    return config_error(fmt::format("{} is masked", unit), fmt::format("systemctl unmask {}", unit));
  }
  if (auto free = kOurAlias.ends_with(unit) ? Result<void>() : alias_free(root, unit); !free) {
    return free;
  }
  if (auto may = root.creatable(kOurAlias); !may) {
    return may;
  }
  return root.creatable(fmt::format("/etc/systemd/system/multi-user.target.wants/{}", unit));
}

void make_worker_user(const Root& root) {
  const std::string program = find_program("systemd-sysusers");
  if (program.empty() || !root.has("/etc/passwd")) {
    return;
  }
  std::vector<std::string> words = {program};
  if (!root.is_machine()) {
    words.push_back(fmt::format("--root={}", root.directory()));
  }
  words.emplace_back("openmsp.conf");
  (void)run_program(words, Output::kDropped);
}

Result<void> owned_by_no_package(const Root& root, std::string_view target) {
  const std::string dpkg = root.path("/var/lib/dpkg");
  const std::string rpm_old = root.path("/var/lib/rpm");
  const std::string rpm_new = root.path("/usr/lib/sysimage/rpm");
  const std::string rpm_root = root.is_machine() ? "/" : root.directory();
  const std::string rpm = find_program("rpm");
  if (knows({find_program("dpkg-query"), fmt::format("--admindir={}", dpkg), "--search"}, dpkg + "/status", target) ||
      knows({rpm, "--root", rpm_root, "-qf"}, rpm_new, target) ||
      knows({rpm, "--root", rpm_root, "-qf"}, rpm_old, target)) {
    return config_error(fmt::format("{} belongs to a package of this system: setup leaves it alone", root.path(target)),
                        "use the package manager (for instance: apt-get install, apt-get purge openmsp-agent)");
  }
  return {};
}

bool in_chroot() {
  struct stat here{};
  struct stat of_init{};
  return ::stat("/", &here) != 0 || ::stat("/proc/1/root/.", &of_init) != 0 || here.st_ino != of_init.st_ino ||
         here.st_dev != of_init.st_dev;
}

void say_on_console(std::string_view message) {
  const Fd console(::open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  if (console) {
    (void)file::write_all(
        console, fmt::format("{} msp-agent_{}({}) - {}\r\n", timestamp_ms(SystemClock().realtime_ns()), version(),
                             ::getpid(), message));
  }
}

}  // namespace msp::agent
