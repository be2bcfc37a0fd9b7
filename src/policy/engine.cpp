// SPDX-License-Identifier: Apache-2.0
#include "policy/engine.h"

#include "policy/matcher.h"

namespace msp::policy {
namespace {

bool needs_elevation(Service service) { return service != Service::kImds; }

bool has_canonical_form(const RequestView& request) {
  return request.canonical != nullptr && request.fault == request::Fault::kNone;
}

Denial denied(Reason reason, const RequestView& request, const std::shared_ptr<const RuleSet>& rules) {
  Denial denial;
  denial.reason = reason;
  denial.service = request.service;
  denial.fault = request.fault;
  denial.rules = rules;
  if (rules) {
    denial.nearest.rule_set_id = rules->id();
  }
  return denial;
}

RuleNames names_behind(const RuleSet& rules, const RuleOutcome& outcome) {
  RuleNames names;
  names.rule_set_id = rules.id();
  if (outcome.privilege != RuleOutcome::kNone) {
    names.privilege = rules.privileges()[outcome.privilege].name;
  }
  if (outcome.role != RuleOutcome::kNone) {
    names.role = rules.roles()[outcome.role].name;
    names.identity = rules.identities()[outcome.identity].name;
  }
  return names;
}

Reason reason_of(const RuleOutcome& outcome) {
  if (outcome.by_deny) {
    return Reason::kExplicitDeny;
  }
  return outcome.by_default ? Reason::kNoRule : Reason::kIdentityMismatch;
}

}  // namespace

Decision Engine::decide(const identity::ConnectionIdentity& caller, const RequestView& request,
                        const Snapshot& snapshot) {
  const bool strict = snapshot.matching == Matching::kEnforce;
  const std::shared_ptr<const RuleSet>& rules = snapshot.of(request.service);
  const bool refused_anyway = request.fault != request::Fault::kNone && request::canon_name(request.fault).empty();
  if (refused_anyway || (strict && !has_canonical_form(request))) {
    return denied(Reason::kNotCanonical, request, rules);
  }
  if (!caller.known || caller.direct) {
    return denied(Reason::kNoIdentity, request, rules);
  }
  if (request.exempt && caller.elevated) {
    return permitted(Ground::kExempt, request, rules);
  }
  if (needs_elevation(request.service) && !caller.elevated) {
    return denied(Reason::kNotElevated, request, rules);
  }
  if (!rules) {
    return permitted(Ground::kNoRules, request, rules);
  }
  if (!rules->unusable().empty()) {
    return denied(Reason::kRulesUnusable, request, rules);
  }
  if (rules->mode() == Mode::kDisabled) {
    return permitted(Ground::kDisabled, request, rules);
  }

  // The other reading runs for comparison only (E.6).
  const RuleOutcome deciding =
      strict ? match_canonical(*rules, caller, request) : match_legacy(*rules, caller, request);
  Verdicts verdicts;
  if (strict) {
    verdicts.canonical = deciding.verdict;
    verdicts.legacy = match_legacy(*rules, caller, request, &deciding).verdict;
  } else {
    verdicts.legacy = deciding.verdict;
    if (snapshot.matching == Matching::kShadow) {
      verdicts.canonical = match_canonical(*rules, caller, request, &deciding).verdict;
      verdicts.reject = request.fault;
    }
  }
  const RuleNames names = names_behind(*rules, deciding);
  if (deciding.verdict == Verdict::kAllow) {
    Permit permit = permitted(deciding.by_default ? Ground::kDefaultAccess : Ground::kRule, request, rules);
    permit.names_ = names;
    permit.verdicts_ = verdicts;
    permit.dry_run_ = deciding.dry_run;
    return permit;
  }
  const Reason reason = reason_of(deciding);
  if (rules->mode() == Mode::kAudit) {
    Permit permit = permitted(Ground::kAudit, request, rules);
    permit.names_ = names;
    permit.verdicts_ = verdicts;
    permit.dry_run_ = deciding.dry_run;
    permit.audit_reason_ = reason;
    return permit;
  }
  Denial denial = denied(reason, request, rules);
  denial.nearest = names;
  denial.missed_field = deciding.missed_field;
  denial.verdicts = verdicts;
  denial.dry_run = deciding.dry_run;
  return denial;
}

Permit Engine::permitted(Ground ground, const RequestView& request, const std::shared_ptr<const RuleSet>& rules) {
  Permit permit;
  permit.rules_ = rules;
  permit.service_ = request.service;
  permit.ground_ = ground;
  permit.exempt_ = request.exempt;
  if (rules) {
    permit.names_.rule_set_id = rules->id();
  }
  return permit;
}

}  // namespace msp::policy
