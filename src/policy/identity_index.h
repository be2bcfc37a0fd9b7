// SPDX-License-Identifier: Apache-2.0
// Finds those of a role's identities that a caller may be, without looking at the others.
// Built once while a rule set is compiled, immutable afterwards; any thread.
// Nothing can fail: what it leaves out misses the first field that it asks for, what it finds is still to be matched.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "identity/connection_identity.h"

namespace msp::policy {

struct IdentityRule;

class IdentityIndex {
 public:
  /// A role with no more identities than this is looked through faster than an index is asked.
  static constexpr std::size_t kFew = 16;

  /// `of_role`: indexes into `all`, ascending.
  IdentityIndex(std::span<const std::uint32_t> of_role, std::span<const IdentityRule> all);

  /// Calls visit(identity) for each that `caller` may be, in no order.
  template <class Visit>
  void each_candidate(const identity::ConnectionIdentity& caller, Visit visit) const {
    const auto visit_all = [&](const std::vector<std::uint32_t>& found) { std::ranges::for_each(found, visit); };
    visit_all(find(kUser, caller.user_name));
    visit_all(find(kProcess, caller.process_name));
    for (const std::string& group : caller.group_names) {
      visit_all(find(kGroup, group));
    }
    if (caller.cgroup) {
      visit_all(find(kUnit, caller.cgroup->unit));
    }
    visit_all(others_);
  }

 private:
  /// What an identity asks for first, in the order of match_identity().
  enum Field : std::uint8_t { kUser, kProcess, kGroup, kUnit, kFieldCount };

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using ByText = std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>>;

  const std::vector<std::uint32_t>& find(Field field, std::string_view text) const;

  std::array<ByText, kFieldCount> by_field_;
  std::vector<std::uint32_t> others_;  ///< ask for none of these: an executable or a cgroup alone, or nothing
};

}  // namespace msp::policy
