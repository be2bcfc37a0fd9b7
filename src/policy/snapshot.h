// SPDX-License-Identifier: Apache-2.0
// Everything `decide` looks at besides the request and its caller: the compiled rules of all services, and which
// matcher decides. Made by rules::Publisher, held by the data loop as shared_ptr<const Snapshot>; one snapshot per
// request; any thread may read. Immutable. A default-made one holds no rules: IMDS for every known caller, WireServer
// and HostGAPlugin for uid 0.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "base/net.h"
#include "policy/ruleset.h"

namespace msp::policy {

struct Snapshot {
  Matching matching = Matching::kEnforce;
  /// Indexed by Service; null: no rules for this service.
  std::array<std::shared_ptr<const RuleSet>, kServiceCount> rules;
  /// Grows with each published snapshot, so that logs can tell which one decided.
  std::uint64_t generation = 0;

  const std::shared_ptr<const RuleSet>& of(Service service) const { return rules[static_cast<std::size_t>(service)]; }
};

}  // namespace msp::policy
