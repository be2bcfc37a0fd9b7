// SPDX-License-Identifier: Apache-2.0
#include "agent/setup_state.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/log.h"
#include "channel/key_store.h"
#include "channel/status_guard.h"
#include "protocol/guid.h"
#include "rules/dump.h"

namespace msp::agent {
namespace {

namespace fs = std::filesystem;

using Ours = std::function<bool(std::string_view name)>;

/// What a crash leaves of a file that was being written counts as the file.
std::string_view of_leftover(std::string_view name) {
  constexpr std::string_view kTemporary = ".tmp";
  const bool leftover = name.size() > kTemporary.size() + 1 && name.starts_with('.') && name.ends_with(kTemporary);
  return leftover ? name.substr(1, name.size() - 1 - kTemporary.size()) : name;
}

bool is_key_or_tag(std::string_view name) {
  constexpr std::string_view kKey = ".key";
  return name == "provisioned.tag" || name == "status.tag" ||
         (name.ends_with(kKey) && protocol::is_guid(name.substr(0, name.size() - kKey.size())));
}

bool is_rule_file(std::string_view name) { return name == "IMDS_Rules.json" || name == "WireServer_Rules.json"; }

bool is_mark(std::string_view name) { return name == channel::kLatchedMark || name == channel::kSignedMark; }

bool is_dump(std::string_view name) { return name.starts_with(rules::kDumpPrefix) && name.ends_with(".json"); }

/// The file, and what was rotated: its name, a dot, a number.
Ours is_log(std::string file) {
  return [file = std::move(file)](std::string_view name) {
    return name == file || (name.starts_with(file + ".") && name.size() > file.size() + 1 &&
                            name.find_first_not_of("0123456789", file.size() + 1) == std::string_view::npos);
  };
}

Result<std::size_t> remove_files(const Root& root, const std::string& folder, const Ours& ours) {
  auto names = file::list(root.path(folder));
  if (!names) {
    return std::move(names).error();
  }
  std::size_t others = 0;
  for (const std::string& name : *names) {
    if (!ours(of_leftover(name))) {
      ++others;
    } else if (auto gone = root.remove(fmt::format("{}/{}", folder, name)); !gone) {
      return std::move(gone).error();
    }
  }
  return others;
}

Result<void> remove_folder(const Root& root, const std::string& folder, const Ours& ours) {
  if (!folder.starts_with('/') || !root.has(folder)) {
    return {};
  }
  auto others = remove_files(root, folder, ours);
  if (!others) {
    return std::move(others).error();
  }
  if (*others != 0) {
    log::info("{} stays: {} in it are not the agent's", folder, *others);
  } else if (::rmdir(root.path(folder).c_str()) != 0) {
    log::info("{} stays: it is empty, and cannot be removed", folder);
  }
  return {};
}

Result<void> remove_logs(const Root& root, const Config& config) {
  const auto beside = [&root](const std::string& file, const Ours& ours) -> Result<void> {
    const std::string folder = fs::path(file).parent_path();
    if (!file.starts_with('/') || !root.has(folder)) {
      return {};
    }
    auto done = remove_files(root, folder, ours);
    return done ? Result<void>() : std::move(done).error();
  };
  const auto name_of = [](const std::string& file) { return fs::path(file).filename().string(); };
  if (auto gone = beside(config.audit_file, is_log(name_of(config.audit_file))); !gone) {
    return gone;
  }
  const std::string status = name_of(config.status_file);
  if (auto gone = beside(config.status_file, [&](auto name) { return name == status || is_dump(name); }); !gone) {
    return gone;
  }
  const std::string log_file = config.log_file();
  return beside(log_file, is_log(name_of(log_file)));
}

}  // namespace

Result<void> remove_configured_state(const Root& root, const Config& config, StateExtent extent) {
  if (auto gone = remove_logs(root, config); !gone || extent == StateExtent::kLogs) {
    return gone;
  }
  const std::string rules = config.rules_folder();
  if (auto gone = remove_folder(root, config.latch_key_folder, is_key_or_tag); !gone) {
    return gone;
  }
  if (auto gone = remove_folder(root, rules, is_rule_file); !gone) {
    return gone;
  }
  return remove_folder(root, config.state_directory, is_mark);
}

}  // namespace msp::agent
