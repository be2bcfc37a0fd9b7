// SPDX-License-Identifier: Apache-2.0
#include "authoring/judge.h"

#include <variant>

namespace msp::authoring {
namespace {

Judgement permitted(const policy::Permit& permit) {
  Judgement out;
  out.outcome = permit.audit_only() ? Outcome::kAudit : Outcome::kPermit;
  out.code = permit.audit_only() ? policy::to_string(permit.audit_reason()) : std::string_view();
  out.ground = permit.ground();
  out.names = permit.names();
  out.verdicts = permit.verdicts();
  out.dry_run = permit.dry_run().verdict;
  return out;
}

int status_of(const policy::Denial& denial) {
  switch (denial.reason) {
    case policy::Reason::kNotCanonical:
      return request::status_of(denial.fault);
    case policy::Reason::kNoIdentity:
      return 421;
    default:
      return 403;
  }
}

Judgement denied(const policy::Denial& denial) {
  Judgement out;
  out.outcome = Outcome::kDeny;
  out.status = status_of(denial);
  out.code = denial.code();
  out.what = denial.reason == policy::Reason::kNotCanonical ? request::describe(denial.fault) : std::string_view();
  out.names = denial.nearest;
  out.missed_field = denial.missed_field;
  out.verdicts = denial.verdicts;
  out.dry_run = denial.dry_run.verdict;
  return out;
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPermit:
      return "permit";
    case Outcome::kAudit:
      return "audit";
    case Outcome::kDeny:
      return "deny";
  }
  return "deny";
}

Judgement judge(const identity::ConnectionIdentity& caller, const Asked& asked, const policy::Snapshot& snapshot) {
  if (asked.refusal().status != 0) {
    Judgement out;
    out.status = asked.refusal().status;
    out.code = asked.refusal().code;
    out.what = asked.refusal().what;
    return out;
  }
  const policy::Decision decision = policy::decide(caller, asked.view(), snapshot);
  const auto* const permit = std::get_if<policy::Permit>(&decision);
  Judgement out = permit != nullptr ? permitted(*permit) : denied(std::get<policy::Denial>(decision));
  out.by_engine = true;
  return out;
}

}  // namespace msp::authoring
