// SPDX-License-Identifier: Apache-2.0
#include "cli/local_groups.h"

#include <grp.h>
#include <pwd.h>

#include <array>

#include "cli/user_names.h"

namespace msp::cli {
namespace {

std::vector<std::string> ask(const std::string& user) {
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    return {};
  }
  std::array<gid_t, 1024> gids{};
  int count = gids.size();
  if (::getgrouplist(user.c_str(), entry.pw_gid, gids.data(), &count) < 0) {
    count = gids.size();
  }
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) {
    if (std::string name = group_name(gids[static_cast<std::size_t>(i)]); !name.empty()) {
      out.push_back(std::move(name));
    }
  }
  return out;
}

}  // namespace

const std::vector<std::string>& LocalGroups::of(const std::string& user) {
  const auto known = known_.find(user);
  return known != known_.end() ? known->second : known_.emplace(user, ask(user)).first->second;
}

}  // namespace msp::cli
