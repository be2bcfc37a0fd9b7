// SPDX-License-Identifier: Apache-2.0
// Decisions by rules, written a second time from protocol.md E.2 to E.4 and E.6 and from docs/policy.md: loops over the
// item as it was read, no compiling, no index. The property tests and fuzz targets hold the engine against it. Pure
// functions; any thread. Nothing fails; where the protocol leaves an outcome open (two query keys that fold alike) it
// takes the last.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/rules_document.h"
#include "identity/connection_identity.h"
#include "policy/engine.h"

namespace msp::test::reference {

/// A request as it came, path and query undecoded.
struct Request {
  Service service = Service::kImds;
  std::string method = "GET";
  std::string path = "/";
  std::string query;
  bool exempt = false;
};

/// In words: "permit rule", "permit audit no_rule", "deny identity_mismatch", "deny canon_pct" …
std::string decide(const std::optional<RuleItem>& item, policy::Matching matching,
                   const identity::ConnectionIdentity& caller, const Request& request);
/// The engine's answer in the same words.
std::string words_of(const policy::Decision& decision);

/// What the rules alone say, their mode not looked at: "allow", "deny" or "reject".
std::string legacy_verdict(const RuleItem& item, const identity::ConnectionIdentity& caller, const Request& request);
std::string canonical_verdict(const RuleItem& item, const identity::ConnectionIdentity& caller, const Request& request);

/// What dry-run assignments say, had they been real: "allow", "deny" or "not run".
std::string dry_run_verdict(const RuleItem& item, policy::Matching matching, const identity::ConnectionIdentity& caller,
                            const Request& request);

/// Whether the item really gives this caller this request by the rule of those names.
bool grants(const RuleItem& item, policy::Matching matching, const policy::RuleNames& names,
            const identity::ConnectionIdentity& caller, const Request& request);

}  // namespace msp::test::reference
