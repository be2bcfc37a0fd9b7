// SPDX-License-Identifier: Apache-2.0
#include "policy/rule_index.h"

#include <utility>

namespace msp::policy {

RuleIndex::RuleIndex(PrefixIndex::Paths paths, const Demands& demands) {
  for (auto& [path, rules] : paths) {
    rules = demands_.add(rules, demands);
  }
  paths_ = PrefixIndex(paths);
}

}  // namespace msp::policy
