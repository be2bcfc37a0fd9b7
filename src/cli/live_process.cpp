// SPDX-License-Identifier: Apache-2.0
#include "cli/live_process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "cli/user_names.h"
#include "identity/exe_pins.h"

namespace msp::cli {
namespace {

constexpr std::string_view kBlanks = " \t";

std::vector<std::uint32_t> numbers_of(std::string_view text) {
  std::vector<std::uint32_t> out;
  while (true) {
    text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBlanks)));
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc()) {
      return out;
    }
    out.push_back(value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
}

Error not_there(std::uint32_t pid, int code) {
  if (code == EACCES || code == EPERM) {
    return {.source = Source::kConfig,
            .message = fmt::format("the executable of process {} may not be looked at", pid),
            .hint = "run it as root",
            .code = code};
  }
  return config_error(fmt::format("there is no process {} with an executable", pid), "see ps for the right one");
}

void add_groups(const std::vector<std::uint32_t>& gids, identity::ConnectionIdentity& out) {
  out.groups = {out.gid};
  out.more_groups = gids.size() > identity::kMostGroups;
  for (const std::uint32_t gid : std::span(gids).first(std::min(gids.size(), identity::kMostGroups))) {
    if (std::ranges::find(out.groups, gid) == out.groups.end()) {
      out.groups.push_back(gid);
    }
  }
  for (const std::uint32_t gid : out.groups) {
    if (std::string name = group_name(gid); !name.empty()) {
      out.group_names.push_back(std::move(name));
    }
  }
}

/// Real ids and supplementary groups, as the kernel hook takes them.
void read_status(const std::string& folder, identity::ConnectionIdentity& out) {
  std::ifstream in(folder + "/status");
  std::vector<std::uint32_t> supplementary;
  for (std::string line; std::getline(in, line);) {
    const std::string_view text = line;
    const std::size_t colon = std::min(text.find(':'), text.size());
    const std::string_view value = text.substr(std::min(text.size(), colon + 1));
    const std::vector<std::uint32_t> ids = numbers_of(value);
    if (text.starts_with("Uid:") && ids.size() > 1) {
      out.uid = ids[0];
      out.euid = ids[1];
    } else if (text.starts_with("Gid:") && ids.size() > 1) {
      out.gid = ids[0];
      out.egid = ids[1];
    } else if (text.starts_with("Groups:")) {
      supplementary = ids;
    } else if (text.starts_with("Name:")) {
      out.comm = value.substr(std::min(value.size(), value.find_first_not_of(kBlanks)));
    }
  }
  out.elevated = out.uid == 0;
  out.user_name = user_name(out.uid);
  add_groups(supplementary, out);
}

/// The line of cgroup v2. Null where there is none.
std::shared_ptr<const identity::CgroupPlace> read_cgroup(const std::string& folder) {
  std::ifstream in(folder + "/cgroup");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("0::")) {
      return std::make_shared<const identity::CgroupPlace>(identity::place_in(line.substr(3)));
    }
  }
  return nullptr;
}

/// Those paths of the rules that are this executable, as the agent finds them.
void add_rule_paths(const std::vector<RuleIdentity>& identities, const struct stat& exe,
                    identity::ConnectionIdentity& out) {
  const Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  for (const RuleIdentity& identity : identities) {
    struct stat named{};
    if (!identity.exe_path) {
      continue;
    }
    const Fd file = identity::open_rule_path(root, *identity.exe_path);
    if (file && ::fstat(file.get(), &named) == 0 && named.st_dev == exe.st_dev && named.st_ino == exe.st_ino) {
      out.exe_rule_paths.push_back(*identity.exe_path);
    }
  }
}

/// What the kernel writes behind the path of a file that has no name any more is no part of the name.
std::string path_of_executable(const std::string& folder, const struct stat& exe) {
  constexpr std::string_view kDeleted = " (deleted)";
  std::error_code error;
  std::string path = std::filesystem::read_symlink(folder + "/exe", error);
  if (exe.st_nlink == 0 && path.ends_with(kDeleted)) {
    path.resize(path.size() - kDeleted.size());
  }
  return path;
}

}  // namespace

Result<identity::ConnectionIdentity> read_process(std::uint32_t pid, const RuleItem* item) {
  const std::string folder = fmt::format("/proc/{}", pid);
  struct stat exe{};
  if (::stat((folder + "/exe").c_str(), &exe) != 0) {
    return not_there(pid, errno);
  }
  const std::string path = path_of_executable(folder, exe);
  identity::ConnectionIdentity out;
  out.known = true;
  out.unknown = identity::Unknown::kNone;
  out.tgid = pid;
  out.exe_path = path;
  out.process_name = path.substr(path.rfind('/') + 1);
  read_status(folder, out);
  out.cgroup = read_cgroup(folder);
  if (item != nullptr && item->rules && item->rules->identities) {
    add_rule_paths(*item->rules->identities, exe, out);
  }
  return out;
}

}  // namespace msp::cli
