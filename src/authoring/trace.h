// SPDX-License-Identifier: Apache-2.0
// Why each rule did or did not match a request, nearest miss first, and the verdict that follows from that.
// Pure, and written from the rules as text (protocol.md E.2, E.3, E.6), not from the compiled set: a second opinion
// that is checked against the engine. Any thread; for people, so it takes all the memory it needs. Nothing fails: rules
// that name what does not exist grant nothing, as everywhere.
#pragma once

#include <string>
#include <vector>

#include "authoring/reading.h"
#include "identity/connection_identity.h"
#include "policy/permit.h"

namespace msp::authoring {

/// A privilege, and how somebody may have got it. A privilege that nobody has is one rule without role and identity.
struct RuleTrace {
  std::string privilege;
  std::string role;
  std::string identity;
  bool assigned = false;
  bool deny = false;     ///< the assignment denies instead of allowing
  bool dry_run = false;  ///< the assignment is evaluated without effect
  bool privilege_met = false;
  bool identity_met = false;  ///< false where nothing is assigned
  std::vector<Check> checks;  ///< path, query, method, then the fields of the identity
  /// 0: the rule matches. Grows with what is missing, most with the path, least with the identity.
  std::size_t distance = 0;
  std::size_t order = 0;  ///< place in the text

  bool matches() const { return privilege_met && identity_met; }
};

struct Trace {
  policy::Verdict verdict = policy::Verdict::kDeny;
  bool by_default = false;       ///< no privilege matched
  bool by_deny = false;          ///< an assignment that denies is about this caller
  std::vector<RuleTrace> rules;  ///< denies that match, then nearest first, else in the order of the text
};

Trace trace_rules(const RuleItem& item, const identity::ConnectionIdentity& caller, const policy::RequestView& request,
                  Matcher matcher);

}  // namespace msp::authoring
