// SPDX-License-Identifier: Apache-2.0
// Who is granted what by one item's rules, names resolved as the compiler resolves them (protocol.md E.2).
// Immutable; any thread. Indexes are positions in the sections; the rules must outlive it.
// Names that do not exist are left out.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/rules_document.h"

namespace msp::authoring {

using Indexes = std::vector<std::uint32_t>;  ///< ascending, each once

/// Rules that have all four sections; with fewer there are none at all (protocol.md E.2.3). Views into the item.
struct WholeRules {
  std::span<const RulePrivilege> privileges;
  std::span<const RuleRole> roles;
  std::span<const RuleIdentity> identities;
  std::span<const RuleAssignment> role_assignments;
};
std::optional<WholeRules> whole_rules(const RuleItem& item);

class RuleIndex {
 public:
  explicit RuleIndex(const WholeRules& rules);

  /// The elements that count: the last of each name.
  const Indexes& privileges() const { return privileges_; }
  /// Roles that hold the privilege.
  const Indexes& roles_of(std::uint32_t privilege) const { return roles_of_privilege_[privilege]; }
  const Indexes& privileges_of(std::uint32_t role) const { return privileges_of_role_[role]; }
  /// Some assignment of the role denies, or is a dry run. Those give nobody anything.
  bool has_special(std::uint32_t role) const { return special_[role]; }
  /// Identities to whom assignments give the role.
  const Indexes& callers_of(std::uint32_t role) const { return callers_of_role_[role]; }
  const Indexes& roles_of_caller(std::uint32_t identity) const { return roles_of_identity_[identity]; }
  /// Identities to whom any role gives the privilege.
  Indexes granted(std::uint32_t privilege) const;
  /// By position of the assignment; its role, or kNone.
  static constexpr std::uint32_t kNone = UINT32_MAX;
  std::uint32_t role_of_assignment(std::uint32_t assignment) const { return role_of_assignment_[assignment]; }
  const Indexes& callers_of_assignment(std::uint32_t assignment) const { return callers_of_assignment_[assignment]; }

 private:
  Indexes privileges_;
  std::vector<Indexes> roles_of_privilege_;
  std::vector<Indexes> privileges_of_role_;
  std::vector<Indexes> callers_of_role_;
  std::vector<Indexes> roles_of_identity_;
  std::vector<bool> special_;
  std::vector<std::uint32_t> role_of_assignment_;
  std::vector<Indexes> callers_of_assignment_;
};

}  // namespace msp::authoring
