// SPDX-License-Identifier: Apache-2.0
// The two readings of a rule set: legacy (protocol.md E.3, byte-compatible) and canonical (E.6, strict).
// Pure; called by the engine, and by tests that compare the bare verdicts. Any thread.
// Nothing fails: a request without canonical form gets Verdict::kReject.
#pragma once

#include <cstdint>

#include "identity/connection_identity.h"
#include "policy/engine.h"

namespace msp::policy {

struct RuleOutcome {
  static constexpr std::uint32_t kNone = UINT32_MAX;

  Verdict verdict = Verdict::kDeny;
  bool by_default = false;  ///< no privilege matched
  bool by_deny = false;     ///< an assignment with effect deny decided
  /// The rule that allowed, or the nearest miss; indexes into the rule set.
  std::uint32_t privilege = kNone;
  std::uint32_t role = kNone;
  std::uint32_t identity = kNone;
  std::string_view missed_field = {};
  DryRun dry_run = {};  ///< only of the matcher that runs first
};

/// Verdict of a compiled set (not a deny-all one) whose mode is not looked at. `other`: what the other matcher found
/// for the same caller, if it has run: an identity that it found to match need not be compared again, and only the
/// verdict of the second answer counts.
RuleOutcome match_legacy(const RuleSet& rules, const identity::ConnectionIdentity& caller, const RequestView& request,
                         const RuleOutcome* other = nullptr);
RuleOutcome match_canonical(const RuleSet& rules, const identity::ConnectionIdentity& caller,
                            const RequestView& request, const RuleOutcome* other = nullptr);

}  // namespace msp::policy
