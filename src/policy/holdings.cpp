// SPDX-License-Identifier: Apache-2.0
#include "policy/holdings.h"

#include "policy/identity_match.h"

namespace msp::policy {
namespace {

template <class Grants>
void sort_unique(Grants& grants) {
  std::ranges::sort(grants);
  const auto rest = std::ranges::unique(grants, {}, [](const auto& grant) { return grant.role; });
  grants.erase(rest.begin(), rest.end());
}

}  // namespace

UnknownFields Holdings::unknown() {
  if (!unknown_) {
    unknown_ = static_cast<UnknownFields>(unknown_fields(caller_) & rules_.deny_fields());
  }
  return *unknown_;
}

void Holdings::add_roles(std::uint32_t identity, Grants& out) const {
  for (const std::uint32_t role : rules_.roles_of(identity)) {
    out.push_back({.role = role, .identity = identity});
  }
}

void Holdings::look() {
  looked_ = true;
  rules_.callers()->each_candidate(caller_, [&](std::uint32_t identity) {
    if (match_identity(rules_.identities()[identity], caller_).matched) {
      add_roles(identity, is_);
    }
  });
  sort_unique(is_);
}

void Holdings::look_further() {
  looked_further_ = true;
  rules_.possible_callers(unknown()).each_candidate(caller_, [&](std::uint32_t identity) {
    if (may_be(rules_.identities()[identity], caller_)) {
      add_roles(identity, may_be_);
    }
  });
  sort_unique(may_be_);
}

}  // namespace msp::policy
