// SPDX-License-Identifier: Apache-2.0
// Which identities of a rule set a caller is, or may be, and the roles that it holds by them: found once for a decision
// and only if it is asked.
// Made on the stack of one decision; one thread. Rules and caller outlive it.
// Nothing can fail. For rule sets that have an index of callers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
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
  using Roles = std::vector<std::uint32_t>;

  Holdings(const RuleSet& rules, const identity::ConnectionIdentity& caller) : rules_(rules), caller_(caller) {}
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  /// Calls visit(place in `roles`, identity) for those of `roles` (ascending) that an identity which fits is assigned
  /// to, until it returns true; returns whether it did. In no order; of a role's identities the first comes first.
  template <class Visit>
  bool any_grant(Fits fits, const Roles& roles, Visit visit) {
    Held& held = look(fits);
    if (held.spent > held.roles) {
      return any_common(listed(held), roles, &Grant::role,
                        [&](const Grant& grant, std::size_t place) { return visit(place, grant.identity); });
    }
    return std::ranges::any_of(held.identities, [&](std::uint32_t identity) {
      const Roles& own = rules_.roles_of(identity);
      held.spent += 1 + std::min(own.size(), roles.size());
      return any_common(own, roles, std::identity(),
                        [&](std::uint32_t, std::size_t place) { return visit(place, identity); });
    });
  }

  /// The first identity of the role with this number that fits. Looks through the fewer of the two.
  std::optional<std::uint32_t> identity_in(Fits fits, std::uint32_t role);

  /// Of the caller, as far as it matters for a deny.
  UnknownFields unknown();

 private:
  /// A role that the caller holds by an identity.
  struct Grant {
    std::uint32_t role;
    std::uint32_t identity;  ///< the first one

    auto operator<=>(const Grant&) const = default;
  };
  /// Most requests ask once, for a role or two: the identities are looked through then. What meets many rules would pay
  /// for each of them with all identities: once that has cost as much, their roles are listed.
  struct Held {
    explicit Held(std::pmr::memory_resource* memory) : identities(memory), grants(memory) {}

    std::pmr::vector<std::uint32_t> identities;  ///< ascending
    std::pmr::vector<Grant> grants;              ///< by role, ascending, each once; empty until it is needed
    std::size_t roles = 0;                       ///< of all identities
    std::size_t spent = 0;                       ///< steps so far
    bool looked = false;
  };

  /// Calls visit(element of `own`, place in `roles`) for those of the same role, until it returns true. Both ascending.
  template <class Own, class RoleOf, class Visit>
  static bool any_common(const Own& own, const Roles& roles, RoleOf role_of, Visit visit) {
    if (own.size() < roles.size()) {
      return std::ranges::any_of(own, [&](const auto& each) {
        const std::uint32_t role = std::invoke(role_of, each);
        const auto found = std::ranges::lower_bound(roles, role);
        return found != roles.end() && *found == role && visit(each, static_cast<std::size_t>(found - roles.begin()));
      });
    }
    for (std::size_t place = 0; place < roles.size(); ++place) {
      const auto found = std::ranges::lower_bound(own, roles[place], {}, role_of);
      if (found != own.end() && std::invoke(role_of, *found) == roles[place] && visit(*found, place)) {
        return true;
      }
    }
    return false;
  }

  Held& look(Fits fits);
  void look_for_callers();
  void look_for_possible_callers();
  void finish(Held& held) const;
  const std::pmr::vector<Grant>& listed(Held& held) const;

  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  Scratch<1024> scratch_;
  Held is_{scratch_.memory()};
  Held may_be_{scratch_.memory()};
  std::optional<UnknownFields> unknown_;
};

}  // namespace msp::policy
