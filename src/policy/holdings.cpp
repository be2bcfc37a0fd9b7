// SPDX-License-Identifier: Apache-2.0
#include "policy/holdings.h"

#include "policy/identity_match.h"

namespace msp::policy {
namespace {

/// What is found by two of a caller's groups is found twice.
void sort_unique(std::pmr::vector<std::uint32_t>& list) {
  std::ranges::sort(list);
  const auto rest = std::ranges::unique(list);
  list.erase(rest.begin(), rest.end());
}

}  // namespace

UnknownFields Holdings::unknown() {
  if (!unknown_) {
    unknown_ = static_cast<UnknownFields>(unknown_fields(caller_) & rules_.deny_fields());
  }
  return *unknown_;
}

void Holdings::look() {
  looked_ = true;
  rules_.callers()->each_candidate(caller_, [&](std::uint32_t identity) {
    if (match_identity(rules_.identities()[identity], caller_).matched) {
      is_.push_back(identity);
    }
  });
  sort_unique(is_);
}

void Holdings::look_further() {
  looked_further_ = true;
  rules_.possible_callers(unknown()).each_candidate(caller_, [&](std::uint32_t identity) {
    if (may_be(rules_.identities()[identity], caller_)) {
      may_be_.push_back(identity);
    }
  });
  sort_unique(may_be_);
}

}  // namespace msp::policy
