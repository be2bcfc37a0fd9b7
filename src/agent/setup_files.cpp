// SPDX-License-Identifier: Apache-2.0
#include "agent/setup_files.h"

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/file.h"

namespace msp::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxProgram = std::size_t{64} << 20;
/// What every launcher of ours has said and will say.
constexpr std::string_view kLauncherMark = "\nexec /usr/sbin/msp-agent ";

constexpr std::array<SetupFile, 11> kOurs = {{
    {"azure-proxy-agent", kOurProgram, 0755, true, true},
    {"msp-worker", kWorkerProgram, 0755, true, true},
    {"mspctl", "/usr/bin/mspctl", 0755, true, false},
    {"azure-proxy-agent.launcher", kFieldProgram, 0755, false, true},
    {"openmsp.tmpfiles.conf", "/usr/lib/tmpfiles.d/openmsp.conf", 0644, false, false},
    {"openmsp.sysusers.conf", "/usr/lib/sysusers.d/openmsp.conf", 0644, false, false},
    {"openmsp.slice", "/usr/lib/systemd/system/openmsp.slice", 0644, false, true},
    {"msp-agent-retry.service", "/usr/lib/systemd/system/msp-agent-retry.service", 0644, false, true},
    {"msp-agent-replaced.service", "/usr/lib/systemd/system/msp-agent-replaced.service", 0644, false, true},
    {"msp-agent-replaced.path", "/usr/lib/systemd/system/msp-agent-replaced.path", 0644, false, true},
    {"msp-agent.service", "/usr/lib/systemd/system/msp-agent.service", 0644, false, true},
}};
constexpr std::array<SetupFile, 4> kField = {{
    {"azure-proxy-agent", kFieldProgram, 0755, true, true},
    {"ebpf_cgroup.o", "/usr/lib/azure-proxy-agent/ebpf_cgroup.o", 0644, true, false},
    {"azure-proxy-agent.service", kFieldUnitFile, 0644, false, true},
    {"azure-proxy-agent.8", "/usr/share/man/man8/azure-proxy-agent.8", 0644, false, false},
}};
constexpr SetupFile kConfig = {"proxy-agent.json", kConfigFile, 0644, true, false};

std::string beside(const std::string& target) {
  const fs::path path(target);
  return (path.parent_path() / fmt::format(".{}.new", path.filename().string())).string();
}

/// What will run as root must be root's already.
Result<std::string> read_trusted(const std::string& path) {
  return file::read(path, file::configuration(), kMaxProgram);
}

/// Asked before anything is touched: a rename onto it, or its removal, would find out too late. What cannot be asked
/// (no file, an old kernel) is found out then.
Result<void> path_changeable(const fs::path& path) {
  const std::string folder = path.parent_path().string();
  for (const fs::path& at : {path.parent_path(), path}) {
    struct statx found{};
    if (::statx(AT_FDCWD, at.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &found) != 0) {
      return {};
    }
    if ((found.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0) {
      return config_error(fmt::format("{} is immutable or append-only", at.string()),
                          fmt::format("chattr -i -a {}", at.string()));
    }
    if (at != path && ::access(folder.c_str(), W_OK) != 0) {  // a file system that is read-only is so for root, too
      return errno_error(fmt::format("writing to {}", folder));
    }
    if (at == path && S_ISDIR(found.stx_mode)) {
      return config_error(fmt::format("{} is a directory, where a file is to be", at.string()));
    }
    if (at == path && (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) {
      return config_error(fmt::format("something is mounted at {}", at.string()),
                          fmt::format("umount {}", at.string()));
    }
  }
  return {};
}

}  // namespace

std::span<const SetupFile> our_files() { return kOurs; }
std::span<const SetupFile> field_files() { return kField; }
const SetupFile& config_file() { return kConfig; }

bool is_unit(const SetupFile& file) {
  return file.target.starts_with("/usr/lib/systemd/") || file.target.starts_with("/usr/lib/tmpfiles.d/") ||
         file.target.starts_with("/usr/lib/sysusers.d/");
}

Root::Root(std::string directory) : directory_(std::move(directory)) {
  while (directory_.ends_with('/')) {
    directory_.pop_back();
  }
}

Root::Holder Root::field_name_holder() const {
  const std::string at = path(kFieldProgram);
  struct stat named{};
  struct stat ours{};
  if (::stat(at.c_str(), &named) != 0 || !S_ISREG(named.st_mode)) {
    return Holder::kNobody;
  }
  // Packages of before had a link.
  if (::stat(path(kOurProgram).c_str(), &ours) == 0 && named.st_ino == ours.st_ino && named.st_dev == ours.st_dev) {
    return Holder::kOurs;
  }
  auto text = file::read(at, {.no_symlinks = false}, kMaxProgram);
  if (!text || text->empty()) {
    return Holder::kNobody;
  }
  return text->starts_with("#!/bin/sh\n") && text->contains(kLauncherMark) ? Holder::kOurs : Holder::kAnother;
}

bool Root::has(std::string_view target) const {
  struct stat st{};
  return ::lstat(path(target).c_str(), &st) == 0;
}

/// The target with its directory resolved: some systems have /usr/sbin as a link.
Result<std::string> Root::real(std::string_view target) const {
  const fs::path wanted = path(target);
  std::error_code failed;
  const fs::path parent = fs::canonical(wanted.parent_path(), failed);
  if (failed) {
    return errno_error(fmt::format("finding {}", wanted.parent_path().string()), failed.value());
  }
  const fs::path top = directory_.empty() ? fs::path("/") : fs::canonical(directory_, failed);
  if (failed || std::ranges::mismatch(top, parent).in1 != top.end()) {
    return config_error(fmt::format("{} leads out of {}", wanted.parent_path().string(), directory_));
  }
  return (parent / wanted.filename()).string();
}

Result<std::string> Root::stage(const std::string& source, const SetupFile& file) const {
  auto content = read_trusted(source);
  if (!content) {
    return std::move(content).error();
  }
  std::error_code failed;
  fs::create_directories(fs::path(path(file.target)).parent_path(), failed);
  auto target = real(file.target);
  if (!target) {
    return std::move(target).error();
  }
  if (auto may = path_changeable(*target); !may) {
    return std::move(may).error();
  }
  if (auto copied = file::replace(beside(*target), *content, {.mode = file.mode, .owner = {}, .group = {}}); !copied) {
    return std::move(copied).error();
  }
  return target;
}

Result<void> Root::changeable(std::string_view target) const {
  if (!has(target)) {
    return {};
  }
  auto found = real(target);
  return found ? path_changeable(*found) : Result<void>(std::move(found).error());
}

Result<void> Root::creatable(std::string_view target) const {
  if (!has("/")) {
    return {};
  }
  fs::path first(target);
  while (first.parent_path() != "/" && !has(first.parent_path().string())) {
    first = first.parent_path();
  }
  auto found = real(first.string());
  return found ? path_changeable(*found) : Result<void>(std::move(found).error());
}

Result<void> Root::remove(std::string_view target) const {
  if (!has(target)) {
    return {};
  }
  auto found = real(target);
  return found ? file::remove(*found) : Result<void>(std::move(found).error());
}

Installation::~Installation() {
  for (std::size_t i = placed_; i < targets_.size(); ++i) {
    ::unlink(beside(targets_[i]).c_str());
  }
}

Result<void> Installation::add(const std::string& source, const SetupFile& file) {
  auto target = root_.stage(source, file);
  if (!target) {
    return std::move(target).error().context("nothing is replaced");
  }
  targets_.push_back(*std::move(target));
  return {};
}

Result<void> Installation::add_all(const std::string& folder, std::string_view package,
                                   std::span<const SetupFile> files) {
  for (const SetupFile& file : files) {
    const std::string source = source_path(folder, package, file);
    if (!file.needed && ::access(source.c_str(), F_OK) != 0) {
      continue;
    }
    if (auto done = add(source, file); !done) {
      return done;
    }
  }
  return {};
}

Result<void> Installation::finish() {
  for (const std::string& target : targets_) {
    if (auto done = file::rename(beside(target), target); !done) {
      // It may have taken its place, and not be synced.
      placed_ += ::access(beside(target).c_str(), F_OK) != 0 ? 1 : 0;
      const std::span<const std::string> all(targets_);
      if (done.error().hint.empty()) {
        done.error().hint = "once that is mended, run it again";
      }
      return std::move(done).error().context(placed_ == 0 ? std::string("none of the files took its place")
                                                          : fmt::format("new are {}; old are still {}",
                                                                        fmt::join(all.first(placed_), ", "),
                                                                        fmt::join(all.subspan(placed_), ", ")));
    }
    ++placed_;
  }
  return {};
}

Result<bool> copy_out(const Root& root, std::string_view target, const std::string& to, mode_t mode) {
  if (!root.has(target)) {
    return false;
  }
  auto content = file::read(root.path(target), {.no_symlinks = false}, kMaxProgram);
  if (!content) {
    return std::move(content).error();
  }
  if (auto done = file::replace(to, *content, {.mode = mode, .owner = {}, .group = {}}); !done) {
    return std::move(done).error();
  }
  return true;
}

Result<void> remove_tree(const std::string& path) {
  std::error_code failed;
  fs::remove_all(path, failed);
  return failed ? errno_error(fmt::format("removing {}", path), failed.value()) : Result<void>();
}

std::string source_path(const std::string& folder, std::string_view package, const SetupFile& file) {
  return file.in_package ? fmt::format("{}/{}/{}", folder, package, file.name)
                         : fmt::format("{}/{}", folder, file.name);
}

}  // namespace msp::agent
