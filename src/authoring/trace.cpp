// SPDX-License-Identifier: Apache-2.0
#include "authoring/trace.h"

#include "policy/fold.h"

namespace msp::authoring {

Trace trace_rules(const RuleItem& item, const identity::ConnectionIdentity& caller, const policy::RequestView& request,
                  Matcher matcher) {
  Trace out;
  RuleWalk walk(item, caller, request, matcher);
  out.matcher = matcher;
  out.count = walk.count();
  while ((out.rules.size() < Trace::kMostRules || !out.nearest_miss) && walk.next()) {
    if (!out.nearest_miss && !walk.is_met_dry_run()) {
      out.nearest_miss = walk.rule();
    }
    if (out.rules.size() < Trace::kMostRules) {
      out.rules.push_back(walk.rule());
    }
  }
  out.by_default = !walk.any_privilege_met();
  out.by_deny = walk.any_denies();
  const bool allowed =
      out.by_default ? policy::lower(item.default_access) == "allow" : walk.any_allows() && !out.by_deny;
  out.verdict = allowed ? policy::Verdict::kAllow : policy::Verdict::kDeny;
  if (matcher == Matcher::kCanonical && (request.canonical == nullptr || request.fault != request::Fault::kNone)) {
    out.verdict = policy::Verdict::kReject;
    out.by_default = out.by_deny = false;
  }
  return out;
}

}  // namespace msp::authoring
