// SPDX-License-Identifier: Apache-2.0
#include "policy/demand_index.h"

#include <map>
#include <utility>

namespace msp::policy {
namespace {

/// Those that no table above has asked for.
std::vector<Demand> left(std::vector<Demand> demands, const std::vector<std::string>& used) {
  std::erase_if(demands, [&](const Demand& demand) { return std::ranges::find(used, demand.key) != used.end(); });
  return demands;
}

}  // namespace

std::vector<std::uint32_t> DemandIndex::add(std::span<const std::uint32_t> items, const Demands& demands) {
  std::vector<std::string> used;
  return add(items, demands, used);
}

std::vector<std::uint32_t> DemandIndex::add(std::span<const std::uint32_t> items, const Demands& demands,
                                            std::vector<std::string>& used) {
  std::vector<std::uint32_t> all(items.begin(), items.end());
  if (all.size() <= kFew) {
    return all;
  }
  std::vector<std::uint32_t> undemanding;
  std::vector<std::uint32_t> demanding;
  for (const std::uint32_t item : all) {
    (left(demands(item), used).empty() ? undemanding : demanding).push_back(item);
  }
  if (demanding.size() <= kFew) {
    return all;
  }
  undemanding.push_back(kTable + make_table(demanding, demands, used));
  return undemanding;
}

std::uint32_t DemandIndex::make_table(std::span<const std::uint32_t> items, const Demands& demands,
                                      std::vector<std::string>& used) {
  ByPair<std::size_t> counts;
  for (const std::uint32_t item : items) {
    for (const Demand& need : left(demands(item), used)) {
      for (const std::string& value : need.values) {
        ++counts[{need.key, value}];
      }
    }
  }
  // Under the key that tells an item best from the others: an api-version is demanded by all of them.
  const auto shared = [&](const Demand& need) {
    std::size_t sum = 0;
    for (const std::string& value : need.values) {
      sum += counts.find(Pair{need.key, value})->second;
    }
    return sum;
  };
  std::map<std::string, std::map<std::string, std::vector<std::uint32_t>>> found;
  for (const std::uint32_t item : items) {
    const std::vector<Demand> all = left(demands(item), used);
    const Demand& best = *std::ranges::min_element(all, {}, shared);
    for (const std::string& value : best.values) {
      std::vector<std::uint32_t>& same = found[best.key][value];
      if (same.empty() || same.back() != item) {
        same.push_back(item);
      }
    }
  }
  Table table;
  for (auto& [key, values] : found) {
    table.keys.push_back(key);
    used.push_back(key);
    for (auto& [value, same] : values) {
      table.items[{key, value}] = add(same, demands, used);
    }
    used.pop_back();
  }
  tables_.push_back(std::move(table));
  return static_cast<std::uint32_t>(tables_.size() - 1);
}

std::span<const std::uint32_t> DemandIndex::Table::find(std::string_view key, std::string_view value) const {
  if (std::ranges::find(keys, key) == keys.end()) {
    return {};
  }
  const auto found = items.find(Pair{key, value});
  return found == items.end() ? std::span<const std::uint32_t>() : found->second;
}

}  // namespace msp::policy
