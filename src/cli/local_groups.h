// SPDX-License-Identifier: Apache-2.0
// The groups that this machine's database gives a user, for logs that do not name them.
// Used by one verb, single-threaded; blocks at the first question about each user.
// An unknown user is in no group.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace msp::cli {

class LocalGroups {
 public:
  const std::vector<std::string>& of(const std::string& user);

 private:
  std::map<std::string, std::vector<std::string>> known_;
};

}  // namespace msp::cli
