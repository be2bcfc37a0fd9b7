// SPDX-License-Identifier: Apache-2.0
#include "policy/holdings.h"

#include "policy/identity_match.h"

namespace msp::policy {

void Holdings::look() {
  looked_ = true;
  rules_.callers()->each_candidate(caller_, [&](std::uint32_t identity) {
    if (match_identity(rules_.identities()[identity], caller_).matched) {
      identities_.push_back(identity);
    }
  });
  // A group or an executable that is found twice finds its identities twice.
  std::ranges::sort(identities_);
  const auto rest = std::ranges::unique(identities_);
  identities_.erase(rest.begin(), rest.end());
}

}  // namespace msp::policy
