// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_index.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace msp::authoring {
namespace {

using NameTable = std::unordered_map<std::string_view, std::uint32_t>;

template <class Items>
NameTable last_by_name(const Items& items) {
  NameTable table;
  for (std::uint32_t i = 0; i < items.size(); ++i) {
    table[items[i].name] = i;
  }
  return table;
}

void tidy(Indexes& list) {
  std::ranges::sort(list);
  const auto rest = std::ranges::unique(list);
  list.erase(rest.begin(), rest.end());
}

Indexes resolved(const std::vector<std::string>& names, const NameTable& table) {
  Indexes out;
  for (const std::string& name : names) {
    if (const auto found = table.find(name); found != table.end()) {
      out.push_back(found->second);
    }
  }
  tidy(out);
  return out;
}

}  // namespace

std::optional<WholeRules> whole_rules(const RuleItem& item) {
  if (!item.rules) {
    return std::nullopt;
  }
  const RuleSections& rules = *item.rules;
  if (!rules.privileges || !rules.roles || !rules.identities || !rules.role_assignments) {
    return std::nullopt;
  }
  return WholeRules{.privileges = *rules.privileges,
                    .roles = *rules.roles,
                    .identities = *rules.identities,
                    .role_assignments = *rules.role_assignments};
}

RuleIndex::RuleIndex(const WholeRules& rules) {
  const NameTable privileges = last_by_name(rules.privileges);
  const NameTable roles = last_by_name(rules.roles);
  const NameTable identities = last_by_name(rules.identities);
  roles_of_privilege_.resize(rules.privileges.size());
  privileges_of_role_.resize(rules.roles.size());
  callers_of_role_.resize(rules.roles.size());
  special_.resize(rules.roles.size());
  roles_of_identity_.resize(rules.identities.size());
  for (const auto& [name, index] : privileges) {
    privileges_.push_back(index);
  }
  tidy(privileges_);
  for (const auto& [name, role] : roles) {
    privileges_of_role_[role] = resolved(rules.roles[role].privileges, privileges);
    for (const std::uint32_t privilege : privileges_of_role_[role]) {
      roles_of_privilege_[privilege].push_back(role);
    }
  }
  for (const RuleAssignment& assignment : rules.role_assignments) {
    const auto role = roles.find(assignment.role);
    role_of_assignment_.push_back(role == roles.end() ? kNone : role->second);
    callers_of_assignment_.push_back(resolved(assignment.identities, identities));
    if (role == roles.end()) {
      continue;
    }
    if (assignment.openmsp.deny || assignment.openmsp.dry_run) {
      special_[role->second] = true;
    } else {
      const Indexes& callers = callers_of_assignment_.back();
      Indexes& all = callers_of_role_[role->second];
      all.insert(all.end(), callers.begin(), callers.end());
    }
  }
  for (std::uint32_t role = 0; role < callers_of_role_.size(); ++role) {
    tidy(callers_of_role_[role]);
    for (const std::uint32_t identity : callers_of_role_[role]) {
      roles_of_identity_[identity].push_back(role);
    }
  }
  for (Indexes& list : roles_of_privilege_) {
    tidy(list);
  }
}

Indexes RuleIndex::granted(std::uint32_t privilege) const {
  Indexes out;
  for (const std::uint32_t role : roles_of_privilege_[privilege]) {
    out.insert(out.end(), callers_of_role_[role].begin(), callers_of_role_[role].end());
  }
  tidy(out);
  return out;
}

}  // namespace msp::authoring
