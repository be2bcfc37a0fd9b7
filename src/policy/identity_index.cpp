// SPDX-License-Identifier: Apache-2.0
#include "policy/identity_index.h"

#include "policy/ruleset.h"

namespace msp::policy {

IdentityIndex::IdentityIndex(std::span<const std::uint32_t> of_role, std::span<const IdentityRule> all) {
  for (const std::uint32_t index : of_role) {
    const IdentityRule& rule = all[index];
    if (rule.user) {
      by_field_[kUser][*rule.user].push_back(index);
    } else if (rule.process) {
      by_field_[kProcess][*rule.process].push_back(index);
    } else if (rule.group) {
      by_field_[kGroup][*rule.group].push_back(index);
    } else if (!rule.exe && rule.place && rule.place->unit) {
      by_field_[kUnit][*rule.place->unit].push_back(index);
    } else {
      others_.push_back(index);
    }
  }
}

const std::vector<std::uint32_t>& IdentityIndex::find(Field field, std::string_view text) const {
  static const std::vector<std::uint32_t> kNone;
  const auto found = by_field_[field].find(text);
  return found == by_field_[field].end() ? kNone : found->second;
}

}  // namespace msp::policy
