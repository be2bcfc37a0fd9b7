// SPDX-License-Identifier: Apache-2.0
// Which identities of a rule set a caller is, or may be, found once for a decision and only if it is asked.
// Made on the stack of one decision; one thread. Rules and caller outlive it.
// Nothing can fail. For rule sets that have an index of callers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <vector>

#include "policy/ruleset.h"
#include "policy/scratch.h"

namespace msp::policy {

class Holdings {
 public:
  /// Which identities are asked for: what is not known of a caller counts as fitting where it may deny.
  enum class Fits : std::uint8_t { kIs, kMayBe };

  Holdings(const RuleSet& rules, const identity::ConnectionIdentity& caller) : rules_(rules), caller_(caller) {}
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  /// Calls visit(place in `roles`, identity) for those of `roles` (ascending) that an identity which the caller is is
  /// assigned to, until it returns true; returns whether it did.
  template <class Visit>
  bool any_grant(Fits fits, const std::vector<std::uint32_t>& roles, Visit visit) {
    return std::ranges::any_of(identities(fits), [&](std::uint32_t identity) {
      const std::vector<std::uint32_t>& held = rules_.roles_of(identity);
      if (held.size() < roles.size()) {
        return std::ranges::any_of(held, [&](std::uint32_t role) {
          const auto found = std::ranges::lower_bound(roles, role);
          return found != roles.end() && *found == role &&
                 visit(static_cast<std::size_t>(found - roles.begin()), identity);
        });
      }
      for (std::size_t place = 0; place < roles.size(); ++place) {
        if (std::ranges::binary_search(held, roles[place]) && visit(place, identity)) {
          return true;
        }
      }
      return false;
    });
  }

  /// The first of the role's identities that fits.
  std::optional<std::uint32_t> identity_in(Fits fits, const RoleGrant& role) {
    const List& held = identities(fits);
    const auto found = std::ranges::find_if(
        held, [&](std::uint32_t identity) { return std::ranges::binary_search(role.identities, identity); });
    return found == held.end() ? std::nullopt : std::optional(*found);
  }

  /// Of the caller, as far as it matters for a deny.
  UnknownFields unknown();

 private:
  using List = std::pmr::vector<std::uint32_t>;

  /// Ascending.
  const List& identities(Fits fits) {
    if (fits == Fits::kMayBe && unknown() != 0) {
      if (!looked_further_) {
        look_further();
      }
      return may_be_;
    }
    if (!looked_) {
      look();
    }
    return is_;
  }
  void look();
  void look_further();

  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  Scratch<1024> scratch_;
  List is_{scratch_.memory()};
  List may_be_{scratch_.memory()};
  std::optional<UnknownFields> unknown_;
  bool looked_ = false;
  bool looked_further_ = false;
};

}  // namespace msp::policy
