// SPDX-License-Identifier: Apache-2.0
#include "policy/rule_index.h"

namespace msp::policy {

RuleIndex::RuleIndex(PrefixIndex::Paths paths, const Demands& demands) {
  for (auto& [path, rules] : paths) {
    if (rules.size() <= kFew) {
      continue;
    }
    std::vector<std::uint32_t> undemanding;
    std::vector<std::uint32_t> demanding;
    for (const std::uint32_t rule : rules) {
      (demands(rule).empty() ? undemanding : demanding).push_back(rule);
    }
    if (demanding.size() > kFew) {
      undemanding.push_back(kTable + static_cast<std::uint32_t>(tables_.size()));
      tables_.push_back(make_table(demanding, demands));
      rules = std::move(undemanding);
    }
  }
  paths_ = PrefixIndex(paths);
}

RuleIndex::Table RuleIndex::make_table(std::span<const std::uint32_t> rules, const Demands& demands) {
  ByText<ByText<std::size_t>> counts;
  for (const std::uint32_t rule : rules) {
    for (const RequiredQuery& need : demands(rule)) {
      for (const std::string& value : need.values) {
        ++counts[need.key][value];
      }
    }
  }
  // Under the key that tells a rule best from the others: an api-version is demanded by all of them.
  const auto shared = [&](const RequiredQuery& need) {
    std::size_t sum = 0;
    for (const std::string& value : need.values) {
      sum += counts[need.key][value];
    }
    return sum;
  };
  Table table;
  for (const std::uint32_t rule : rules) {
    const std::vector<RequiredQuery> all = demands(rule);
    const RequiredQuery& best = *std::ranges::min_element(all, {}, shared);
    for (const std::string& value : best.values) {
      std::vector<std::uint32_t>& found = table[best.key][value];
      if (found.empty() || found.back() != rule) {
        found.push_back(rule);
      }
    }
  }
  return table;
}

std::span<const std::uint32_t> RuleIndex::find(const Table& table, std::string_view key, std::string_view value) {
  const auto values = table.find(key);
  if (values == table.end()) {
    return {};
  }
  const auto rules = values->second.find(value);
  return rules == values->second.end() ? std::span<const std::uint32_t>() : rules->second;
}

}  // namespace msp::policy
