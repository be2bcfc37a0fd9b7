// SPDX-License-Identifier: Apache-2.0
#include "agent/setup_backup.h"

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>

#include "agent/setup_files.h"
#include "base/file.h"

namespace msp::agent {
namespace {

namespace fs = std::filesystem;

std::string one_before(const std::string& backup) { return backup + ".old"; }

bool is_there(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<void> remove_leftovers(const std::string& backup) {
  auto gone = remove_tree(unfinished_backup(backup));
  return gone ? remove_tree(one_before(backup)) : gone;
}

}  // namespace

Result<void> settle_backup(const std::string& backup) {
  const bool aside = !is_there(backup) && is_there(one_before(backup));
  return aside ? file::rename(one_before(backup), backup) : Result<void>();
}

std::string unfinished_backup(const std::string& backup) { return backup + ".new"; }

Result<void> begin_backup(const std::string& backup, std::string_view package) {
  if (auto settled = settle_backup(backup); !settled) {
    return settled;
  }
  if (auto gone = remove_leftovers(backup); !gone) {
    return gone;
  }
  const std::string folder = fmt::format("{}/{}", unfinished_backup(backup), package);
  std::error_code failed;
  fs::create_directories(folder, failed);
  return failed ? errno_error(fmt::format("making {}", folder), failed.value()) : Result<void>();
}

Result<void> finish_backup(const std::string& backup) {
  if (auto aside = is_there(backup) ? file::rename(backup, one_before(backup)) : Result<void>(); !aside) {
    return aside;
  }
  if (auto named = file::rename(unfinished_backup(backup), backup); !named) {
    (void)settle_backup(backup);
    return named;
  }
  return remove_tree(one_before(backup));
}

void abandon_backup(const std::string& backup) { (void)remove_tree(unfinished_backup(backup)); }

Result<void> remove_backup(const std::string& backup) {
  auto gone = remove_leftovers(backup);
  return gone ? remove_tree(backup) : gone;
}

}  // namespace msp::agent
