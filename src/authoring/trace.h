// SPDX-License-Identifier: Apache-2.0
// Why the nearest rules did or did not match a request, and the verdict that follows from all of them.
// Pure, and written from the rules as text (protocol.md E.2, E.3, E.6), not from the compiled set: a second opinion
// that is checked against the engine. Any thread; memory as for a RuleWalk.
// Nothing fails: rules that name what does not exist grant nothing, as everywhere.
#pragma once

#include <optional>
#include <vector>

#include "authoring/rule_walk.h"
#include "policy/permit.h"

namespace msp::authoring {

struct Trace {
  /// Rules that are kept; who wants more walks through them again.
  static constexpr std::size_t kMostRules = 100;

  Matcher matcher = Matcher::kCanonical;
  policy::Verdict verdict = policy::Verdict::kDeny;
  bool by_default = false;                ///< no privilege matched
  bool by_deny = false;                   ///< an assignment that denies is about this caller
  std::vector<RuleTrace> rules;           ///< denies that match, then nearest first, else in the order of the text
  std::size_t count = 0;                  ///< with those that are not kept
  std::optional<RuleTrace> nearest_miss;  ///< the first that is no dry run which matches
};

Trace trace_rules(const RuleItem& item, const identity::ConnectionIdentity& caller, const policy::RequestView& request,
                  Matcher matcher);

}  // namespace msp::authoring
