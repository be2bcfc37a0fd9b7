// SPDX-License-Identifier: Apache-2.0
// Which roles of a rule set a caller holds, or may hold, found once for a decision and only if it is asked.
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

  /// Calls visit(place in `roles`, identity) for those of `roles` (ascending) that an identity which fits is assigned
  /// to, with the first such identity, until it returns true; returns whether it did.
  template <class Visit>
  bool any_grant(Fits fits, const std::vector<std::uint32_t>& roles, Visit visit) {
    const Grants& held = grants(fits);
    if (held.size() < roles.size()) {
      return std::ranges::any_of(held, [&](const Grant& grant) {
        const auto found = std::ranges::lower_bound(roles, grant.role);
        return found != roles.end() && *found == grant.role &&
               visit(static_cast<std::size_t>(found - roles.begin()), grant.identity);
      });
    }
    for (std::size_t place = 0; place < roles.size(); ++place) {
      const std::optional<std::uint32_t> identity = identity_in(fits, roles[place]);
      if (identity && visit(place, *identity)) {
        return true;
      }
    }
    return false;
  }

  /// The first identity of the role that fits.
  std::optional<std::uint32_t> identity_in(Fits fits, std::uint32_t role) {
    const Grants& held = grants(fits);
    const auto found = std::ranges::lower_bound(held, role, {}, &Grant::role);
    return found == held.end() || found->role != role ? std::nullopt : std::optional(found->identity);
  }

  /// Of the caller, as far as it matters for a deny.
  UnknownFields unknown();

 private:
  /// A role that the caller holds by an identity. Found once, however many rules match the request.
  struct Grant {
    std::uint32_t role;
    std::uint32_t identity;  ///< the first one

    auto operator<=>(const Grant&) const = default;
  };
  using Grants = std::pmr::vector<Grant>;

  /// By role, ascending, each once.
  const Grants& grants(Fits fits) {
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
  void add_roles(std::uint32_t identity, Grants& out) const;

  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  Scratch<1024> scratch_;
  Grants is_{scratch_.memory()};
  Grants may_be_{scratch_.memory()};
  std::optional<UnknownFields> unknown_;
  bool looked_ = false;
  bool looked_further_ = false;
};

}  // namespace msp::policy
