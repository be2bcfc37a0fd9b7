// SPDX-License-Identifier: Apache-2.0
#include "policy/holders.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace msp::policy {

std::uint32_t Holders::privilege_of(std::uint32_t role) const {
  if (privileges.empty()) {
    return privilege;
  }
  const auto found = std::ranges::lower_bound(roles, role);
  return privilege_at(static_cast<std::size_t>(found - roles.begin()));
}

std::vector<Alike> alike_rules(const PrefixIndex::Paths& paths, const DemandIndex::Demands& demands_of) {
  std::vector<Alike> out;
  for (const auto& [path, rules] : paths) {
    if (rules.size() < 2) {
      continue;
    }
    std::map<std::vector<Demand>, Alike> by_demands;
    for (const std::uint32_t rule : rules) {
      by_demands[demands_of(rule)].push_back(rule);
    }
    for (auto& [demands, same] : by_demands) {
      if (same.size() > 1) {
        out.push_back(std::move(same));
      }
    }
  }
  return out;
}

void replace_alike(PrefixIndex::Paths& paths, std::span<const Alike> groups, std::uint32_t first) {
  if (groups.empty()) {
    return;
  }
  std::unordered_map<std::uint32_t, std::uint32_t> stands_for;
  for (std::uint32_t i = 0; i < groups.size(); ++i) {
    for (const std::uint32_t rule : groups[i]) {
      stands_for[rule] = first + i;
    }
  }
  for (auto& [path, rules] : paths) {
    std::unordered_set<std::uint32_t> placed;
    std::erase_if(rules, [&](std::uint32_t& rule) {
      const auto found = stands_for.find(rule);
      if (found == stands_for.end()) {
        return false;
      }
      rule = found->second;
      return !placed.insert(rule).second;
    });
  }
}

Holders together(std::span<const Holders> all) {
  std::map<std::uint32_t, std::uint32_t> held;  // role → privilege
  for (const Holders& holders : all) {
    for (const std::uint32_t role : holders.roles) {
      held.try_emplace(role, holders.privilege);
    }
  }
  Holders out{.privilege = all.front().privilege, .roles = {}, .privileges = {}};
  for (const auto& [role, privilege] : held) {
    out.roles.push_back(role);
    out.privileges.push_back(privilege);
  }
  return out;
}

}  // namespace msp::policy
