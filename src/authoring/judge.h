// SPDX-License-Identifier: Apache-2.0
// What becomes of a request: the answer that the agent would give (protocol.md J.2), by the engine of the agent.
// Pure; any thread. Texts are literals, or views into the snapshot, which must outlive the Judgement.
// Nothing fails. What comes before and after the decision is left out: no key yet, limits, headers, the service itself.
#pragma once

#include <cstdint>
#include <string_view>

#include "authoring/asked.h"
#include "identity/connection_identity.h"
#include "policy/permit.h"
#include "policy/snapshot.h"

namespace msp::authoring {

enum class Outcome : std::uint8_t { kPermit, kAudit, kDeny };
/// "permit", "audit", "deny", as in the audit log.
std::string_view to_string(Outcome outcome);

struct Judgement {
  Outcome outcome = Outcome::kDeny;
  int status = 0;          ///< of the agent's answer; 0: the request goes on to the service
  std::string_view code;   ///< why it is refused, or would be without mode audit; empty for a plain permit
  std::string_view what;   ///< what is wrong with a request that has no canonical form or is refused before
  bool by_engine = false;  ///< false: refused before any decision
  policy::Ground ground = policy::Ground::kNoRules;  ///< unless denied
  policy::RuleNames names;                           ///< of the rule, or of the nearest miss
  std::string_view missed_field;
  policy::Verdicts verdicts;
  /// What dry-run assignments would change: kAllow or kDeny; kNotRun: none is about it.
  policy::Verdict dry_run = policy::Verdict::kNotRun;
};

Judgement judge(const identity::ConnectionIdentity& caller, const Asked& asked, const policy::Snapshot& snapshot);

}  // namespace msp::authoring
