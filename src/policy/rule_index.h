// SPDX-License-Identifier: Apache-2.0
// Finds the rules that a request may match, by path and then by query, without looking at those that it cannot.
// Built once while a rule set is compiled, immutable afterwards; any thread.
// Nothing can fail. Whatever it leaves out does not match; what it finds is still to be asked for the whole of its
// query.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "policy/demand_index.h"
#include "policy/prefix_index.h"

namespace msp::policy {

/// A key that a query must have, with one of these values.
using RequiredQuery = Demand;

/// A method that a rule names is demanded like a pair of the query; no request has a pair with this key.
inline constexpr std::string_view kMethodKey = "\x01method";

class RuleIndex {
 public:
  /// All that the rule of this number demands of the query.
  using Demands = DemandIndex::Demands;

  RuleIndex() = default;
  /// Values of `paths` are numbers of rules, each below 2^31.
  RuleIndex(PrefixIndex::Paths paths, const Demands& demands);

  /// Calls visit(rule), for some rules more than once, until it returns true; returns whether it did.
  /// `pairs`: of the request's query, folded, as DemandIndex::visit() takes them.
  template <class Pairs, class Visit>
  bool any(std::string_view path, const Pairs& pairs, const Visit& visit) const {
    return paths_.any_prefix(
        path, [&](std::span<const std::uint32_t> values) { return demands_.visit(values, pairs, visit); });
  }

 private:
  PrefixIndex paths_;
  DemandIndex demands_;
};

}  // namespace msp::policy
