// SPDX-License-Identifier: Apache-2.0
#include "policy/holdings.h"

#include "policy/identity_match.h"

namespace msp::policy {

UnknownFields Holdings::unknown() {
  if (!unknown_) {
    unknown_ = static_cast<UnknownFields>(unknown_fields(caller_) & rules_.deny_fields());
  }
  return *unknown_;
}

std::optional<std::uint32_t> Holdings::identity_in(Fits fits, std::uint32_t role) {
  const auto first_common = [](const auto& few, const auto& many) -> std::optional<std::uint32_t> {
    const auto found =
        std::ranges::find_if(few, [&](std::uint32_t identity) { return std::ranges::binary_search(many, identity); });
    return found == few.end() ? std::nullopt : std::optional(*found);
  };
  const std::vector<std::uint32_t>& all = rules_.roles()[role].identities;
  const std::pmr::vector<std::uint32_t>& held = look(fits).identities;
  return all.size() < held.size() ? first_common(all, held) : first_common(held, all);
}

Holdings::Held& Holdings::look(Fits fits) {
  if (fits == Fits::kMayBe && unknown() != 0) {
    if (!may_be_.looked) {
      look_for_possible_callers();
    }
    return may_be_;
  }
  if (!is_.looked) {
    look_for_callers();
  }
  return is_;
}

void Holdings::look_for_callers() {
  rules_.callers()->each_candidate(caller_, [&](std::uint32_t identity) {
    if (match_identity(rules_.identities()[identity], caller_).matched) {
      is_.identities.push_back(identity);
    }
  });
  finish(is_);
}

void Holdings::look_for_possible_callers() {
  rules_.possible_callers(unknown()).each_candidate(caller_, [&](std::uint32_t identity) {
    if (may_be(rules_.identities()[identity], caller_)) {
      may_be_.identities.push_back(identity);
    }
  });
  finish(may_be_);
}

/// What is found by two of a caller's groups is found twice.
void Holdings::finish(Held& held) const {
  held.looked = true;
  std::ranges::sort(held.identities);
  const auto rest = std::ranges::unique(held.identities);
  held.identities.erase(rest.begin(), rest.end());
  for (const std::uint32_t identity : held.identities) {
    held.roles += rules_.roles_of(identity).size();
  }
}

const std::pmr::vector<Holdings::Grant>& Holdings::listed(Held& held) const {
  if (held.grants.empty()) {
    held.grants.reserve(held.roles);
    for (const std::uint32_t identity : held.identities) {
      for (const std::uint32_t role : rules_.roles_of(identity)) {
        held.grants.push_back({.role = role, .identity = identity});
      }
    }
    std::ranges::sort(held.grants);
    const auto rest = std::ranges::unique(held.grants, {}, &Grant::role);
    held.grants.erase(rest.begin(), rest.end());
  }
  return held.grants;
}

}  // namespace msp::policy
