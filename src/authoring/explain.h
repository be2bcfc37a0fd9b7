// SPDX-License-Identifier: Apache-2.0
// What is decided about one request, and why, step by step (protocol.md E.4).
// Pure; any thread. The decision is the engine's; the steps are found a second time from the rules as text.
// An Explanation holds views into item and snapshot, which must outlive it.
// Nothing fails. Should both ever differ, agrees() is false: a fault of ours that must be shown, not hidden.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "authoring/asked.h"
#include "authoring/judge.h"
#include "authoring/trace.h"

namespace msp::authoring {

struct Step {
  std::string what;      ///< one sentence
  bool decides = false;  ///< the last step
};

struct Explanation {
  Judgement judgement;               ///< the engine's
  Outcome outcome = Outcome::kDeny;  ///< of the steps
  std::string code;
  std::vector<Step> steps;
  /// The matcher that decides, and the other one; absent where no rules were looked at.
  std::optional<Trace> deciding;
  std::optional<Trace> other;

  bool agrees() const { return outcome == judgement.outcome && code == judgement.code; }
  bool readings_differ() const {
    return deciding && other &&
           (deciding->verdict == policy::Verdict::kAllow) != (other->verdict == policy::Verdict::kAllow);
  }
};

constexpr Matcher deciding_matcher(policy::Matching matching) {
  return matching == policy::Matching::kEnforce ? Matcher::kCanonical : Matcher::kLegacy;
}

/// `item`: what `snapshot` was compiled from for the service that is asked, or null without rules.
Explanation explain(const identity::ConnectionIdentity& caller, const Asked& asked, const RuleItem* item,
                    const policy::Snapshot& snapshot);

}  // namespace msp::authoring
