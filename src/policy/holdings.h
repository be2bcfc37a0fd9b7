// SPDX-License-Identifier: Apache-2.0
// Which identities of a rule set a caller is, found once for a decision and only if it is asked.
// Made on the stack of one decision; one thread. Rules and caller outlive it.
// Nothing can fail; memory is taken beyond some hundred identities only. For rule sets that have an index of callers.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <tuple>
#include <vector>

#include "policy/ruleset.h"

namespace msp::policy {

class Holdings {
 public:
  Holdings(const RuleSet& rules, const identity::ConnectionIdentity& caller) : rules_(rules), caller_(caller) {}
  Holdings(const Holdings&) = delete;
  Holdings& operator=(const Holdings&) = delete;

  /// Calls visit(role, identity) for those of `roles` (ascending) that an identity which is the caller is assigned to,
  /// until it returns true; returns whether it did.
  template <class Visit>
  bool any_grant(const std::vector<std::uint32_t>& roles, Visit visit) {
    return std::ranges::any_of(identities(), [&](std::uint32_t identity) {
      const std::vector<std::uint32_t>& held = rules_.roles_of(identity);
      const auto& [few, many] = held.size() < roles.size() ? std::tie(held, roles) : std::tie(roles, held);
      return std::ranges::any_of(
          few, [&](std::uint32_t role) { return std::ranges::binary_search(many, role) && visit(role, identity); });
    });
  }

  /// The first of the role's identities that is the caller.
  std::optional<std::uint32_t> identity_in(const RoleGrant& role) {
    const auto found = std::ranges::find_if(
        identities(), [&](std::uint32_t identity) { return std::ranges::binary_search(role.identities, identity); });
    return found == identities_.end() ? std::nullopt : std::optional(*found);
  }

 private:
  /// Ascending.
  const std::pmr::vector<std::uint32_t>& identities() {
    if (!looked_) {
      look();
    }
    return identities_;
  }
  void look();

  const RuleSet& rules_;
  const identity::ConnectionIdentity& caller_;
  std::array<std::byte, 1024> buffer_;
  std::pmr::monotonic_buffer_resource memory_{buffer_.data(), buffer_.size()};
  std::pmr::vector<std::uint32_t> identities_{&memory_};
  bool looked_ = false;
};

}  // namespace msp::policy
