// SPDX-License-Identifier: Apache-2.0
#include "policy/demand_index.h"

#include <map>
#include <utility>

namespace msp::policy {

/// Those that no table above has asked for, and that an item may be filed under.
std::vector<Demand> DemandIndex::left(std::vector<Demand> demands, const Way& way) {
  const std::size_t most = way.several ? 1 : kMostValues;
  std::erase_if(demands, [&](const Demand& demand) {
    return demand.values.size() > most || std::ranges::find(way.used, demand.key) != way.used.end();
  });
  return demands;
}

std::vector<std::uint32_t> DemandIndex::add(std::span<const std::uint32_t> items, const Demands& demands) {
  return add(items, demands, Way());
}

std::vector<std::uint32_t> DemandIndex::add(std::span<const std::uint32_t> items, const Demands& demands,
                                            const Way& way) {
  std::vector<std::uint32_t> all(items.begin(), items.end());
  if (all.size() <= kFew || way.used.size() == kMostKeys) {
    return all;
  }
  std::vector<std::uint32_t> undemanding;
  std::vector<std::uint32_t> demanding;
  for (const std::uint32_t item : all) {
    (left(demands(item), way).empty() ? undemanding : demanding).push_back(item);
  }
  if (demanding.size() <= kFew) {
    return all;
  }
  undemanding.push_back(kTable + make_table(demanding, demands, way));
  return undemanding;
}

std::uint32_t DemandIndex::make_table(std::span<const std::uint32_t> items, const Demands& demands, const Way& way) {
  ByPair<std::size_t> counts;
  for (const std::uint32_t item : items) {
    for (const Demand& need : left(demands(item), way)) {
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
  bool several = way.several;
  std::map<std::pair<std::string, std::string>, std::vector<std::uint32_t>> found;
  for (const std::uint32_t item : items) {
    const std::vector<Demand> all = left(demands(item), way);
    const Demand& best = *std::ranges::min_element(all, {}, shared);
    several = several || best.values.size() > 1;
    for (const std::string& value : best.values) {
      std::vector<std::uint32_t>& same = found[{best.key, value}];
      if (same.empty() || same.back() != item) {
        same.push_back(item);
      }
    }
  }
  Table table;
  Way below{.used = way.used, .several = several};
  for (auto& [pair, same] : found) {
    below.used.push_back(pair.first);
    table[{pair.first, pair.second}] = add(same, demands, below);
    below.used.pop_back();
  }
  tables_.push_back(std::move(table));
  return static_cast<std::uint32_t>(tables_.size() - 1);
}

}  // namespace msp::policy
