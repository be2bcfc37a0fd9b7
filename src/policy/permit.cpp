// SPDX-License-Identifier: Apache-2.0
#include "policy/permit.h"

#include "policy/ruleset.h"

namespace msp::policy {

std::string_view to_string(Ground ground) {
  switch (ground) {
    case Ground::kNoRules:
      return "no_rules";
    case Ground::kDisabled:
      return "disabled";
    case Ground::kRule:
      return "rule";
    case Ground::kDefaultAccess:
      return "default_access";
    case Ground::kExempt:
      return "exempt";
    case Ground::kAudit:
      return "audit";
  }
  return "";
}

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "";
    case Reason::kNoIdentity:
      return "no_identity";
    case Reason::kNotElevated:
      return "not_elevated";
    case Reason::kNoRule:
      return "no_rule";
    case Reason::kIdentityMismatch:
      return "identity_mismatch";
    case Reason::kRulesUnusable:
      return "rules_unusable";
    case Reason::kNotCanonical:
      return "not_canonical";
    case Reason::kExplicitDeny:
      return "explicit_deny";
  }
  return "";
}

RuleNames names_of(const DryRun& dry_run, const RuleSet* rules) {
  if (dry_run.verdict == Verdict::kNotRun || rules == nullptr) {
    return {};
  }
  return {.rule_set_id = rules->id(),
          .privilege = rules->privileges()[dry_run.privilege].name,
          .role = rules->roles()[dry_run.role].name,
          .identity = rules->identities()[dry_run.identity].name};
}

std::string_view Denial::code() const {
  const bool has_own_code = reason == Reason::kNotCanonical && fault != request::Fault::kNone;
  return has_own_code ? request::code_of(fault) : to_string(reason);
}

}  // namespace msp::policy
