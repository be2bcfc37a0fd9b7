// SPDX-License-Identifier: Apache-2.0
#include "policy/demand_index.h"

#include <limits>
#include <utility>

namespace msp::policy {

const Demand* DemandIndex::Item::find(std::string_view key) const {
  const auto found = std::ranges::lower_bound(demands, key, {}, &Demand::key);
  return found != demands.end() && found->key == key ? &*found : nullptr;
}

/// No node above has asked for it, and not too many values meet it.
bool DemandIndex::may_be_filed(const Demand& demand, const Way& way) {
  return way.used.size() < kMostKeys && demand.values.size() <= (way.several ? 1 : kMostValues) &&
         std::ranges::find(way.used, demand.key) == way.used.end();
}

std::vector<std::uint32_t> DemandIndex::add(std::span<const std::uint32_t> items, const Demands& demands) {
  if (items.size() <= kFew) {
    return {items.begin(), items.end()};
  }
  std::vector<Item> all;
  all.reserve(items.size());
  Items refer;
  refer.reserve(items.size());
  for (const std::uint32_t item : items) {
    Item& added = all.emplace_back(item, demands(item));
    std::ranges::sort(added.demands);
    refer.push_back(&added);
  }
  return add(refer, Way());
}

bool DemandIndex::asks_for(std::string_view key) const {
  return std::ranges::any_of(nodes_, [&](const Node& node) {
    return std::ranges::find(node.shared, key, &Shared::key) != node.shared.end() ||
           std::ranges::any_of(node.filed, [&](const auto& entry) { return entry.first.key == key; });
  });
}

std::vector<std::uint32_t> DemandIndex::add(const Items& items, const Way& way) {
  std::vector<std::uint32_t> out;
  Items filed;
  Items others;
  for (const Item* const item : items) {
    const auto is_used = [&](const Demand& demand) {
      return std::ranges::find(way.used, demand.key) != way.used.end();
    };
    if (items.size() <= kFew || std::ranges::all_of(item->demands, is_used)) {
      out.push_back(item->number);
    } else {
      const auto may_be = [&](const Demand& demand) { return may_be_filed(demand, way); };
      (std::ranges::any_of(item->demands, may_be) ? filed : others).push_back(item);
    }
  }
  if (filed.size() <= kFew) {
    others.insert(others.end(), filed.begin(), filed.end());
    filed.clear();
  }
  look_through(others, way, out);
  if (!filed.empty()) {
    out.push_back(kNode + file(filed, way));
  }
  return out;
}

void DemandIndex::look_through(const Items& items, Way way, std::vector<std::uint32_t>& out) {
  Node node;
  for (const Item* const item : items) {
    node.looked_through.push_back(item->number);
  }
  if (items.size() > kFew) {
    node.shared = shared_by(items, way);
  }
  if (node.shared.empty()) {
    out.insert(out.end(), node.looked_through.begin(), node.looked_through.end());
    return;
  }
  out.push_back(kNode + static_cast<std::uint32_t>(nodes_.size()));
  nodes_.push_back(std::move(node));
}

/// Those that no node above has asked for with the same values.
std::vector<DemandIndex::Shared> DemandIndex::shared_by(const Items& items, Way& way) {
  std::vector<Shared> out;
  for (const Demand& first : items.front()->demands) {
    if (std::ranges::find(way.used, first.key) != way.used.end()) {
      continue;
    }
    std::unordered_set<std::string_view> values;
    const bool all_demand_it = std::ranges::all_of(items, [&](const Item* item) {
      const Demand* const same = item->find(first.key);
      if (same == nullptr) {
        return false;
      }
      for (const std::string& value : same->values) {
        values.insert(value);
      }
      return true;
    });
    if (!all_demand_it) {
      continue;
    }
    const auto [asked, is_new] = way.asked.try_emplace(first.key, values.size());
    if (is_new || asked->second != values.size()) {
      asked->second = values.size();
      Shared& shared = out.emplace_back();
      shared.key = first.key;
      for (const std::string_view value : values) {
        shared.values.emplace(value);
      }
    }
  }
  return out;
}

std::uint32_t DemandIndex::file(const Items& items, Way way) {
  std::unordered_map<Pair, std::size_t, Hash, Equal> counts;
  for (const Item* const item : items) {
    for (const Demand& need : item->demands) {
      if (may_be_filed(need, way)) {
        for (const std::string& value : need.values) {
          ++counts[{need.key, value}];
        }
      }
    }
  }
  // Under the key that tells an item best from the others: an api-version is demanded by all of them.
  const auto alike = [&](const Demand& need) {
    std::size_t sum = 0;
    for (const std::string& value : need.values) {
      sum += counts.find(Pair{need.key, value})->second;
    }
    return sum;
  };
  std::map<Pair, Items> found;
  bool several = way.several;
  for (const Item* const item : items) {
    const Demand* best = &item->demands.front();  // add() files only what has one that may be
    std::size_t fewest = std::numeric_limits<std::size_t>::max();
    for (const Demand& need : item->demands) {
      if (!may_be_filed(need, way)) {
        continue;
      }
      const std::size_t sum = alike(need);
      if (sum < fewest) {
        best = &need;
        fewest = sum;
      }
    }
    several = several || best->values.size() > 1;
    for (const std::string& value : best->values) {
      Items& same = found[{best->key, value}];
      if (same.empty() || same.back() != item) {
        same.push_back(item);
      }
    }
  }
  Node node;
  // Where all stand under the same key, finding them asks for it.
  const bool one_key = !found.empty() && found.begin()->first.key == found.rbegin()->first.key;
  if (one_key) {
    way.used.push_back(found.begin()->first.key);
    node.only_key = found.begin()->first.key;
  }
  node.shared = shared_by(items, way);
  way.several = several;
  const std::size_t above = way.used.size();
  for (const auto& [pair, same] : found) {
    way.used.resize(one_key ? above : above + 1, pair.key);
    way.used.back() = pair.key;
    node.filed[{std::string(pair.key), std::string(pair.value)}] = add(same, way);
  }
  nodes_.push_back(std::move(node));
  return static_cast<std::uint32_t>(nodes_.size() - 1);
}

}  // namespace msp::policy
