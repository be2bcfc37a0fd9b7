// SPDX-License-Identifier: Apache-2.0
#include "cli/user_names.h"

#include <grp.h>
#include <pwd.h>

#include <array>

namespace msp::cli {

std::string user_name(std::uint32_t uid) {
  std::array<char, 16384> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  return ::getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr ? found->pw_name : "";
}

std::string group_name(std::uint32_t gid) {
  std::array<char, 65536> buffer{};
  group entry{};
  group* found = nullptr;
  return ::getgrgid_r(gid, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr ? found->gr_name : "";
}

}  // namespace msp::cli
