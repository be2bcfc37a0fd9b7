// SPDX-License-Identifier: Apache-2.0
#include "policy/rule_query.h"

#include <map>

#include "policy/fold.h"

namespace msp::policy {

std::vector<std::pair<std::string, std::string>> folded_query(const RulePrivilege& privilege) {
  std::map<std::string, std::string> by_key;
  for (const auto& [key, value] : privilege.query_parameters) {
    by_key[key] = value;
  }
  std::map<std::string, std::string> folded;
  for (const auto& [key, value] : by_key) {
    folded[lower(key)] = lower(value);
  }
  return {folded.begin(), folded.end()};
}

}  // namespace msp::policy
