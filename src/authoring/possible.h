// SPDX-License-Identifier: Apache-2.0
// All that a record of the audit log may have been: whoever asked may have been in groups, in a unit, or an executable
// that the record does not say, and a value of the query may have been redacted.
// Pure; any thread. Values; the rules need not outlive them.
// Enough of them: what is left open matters only where rules ask for it, and one decision hangs on at most one identity
// that allows and one that denies, each of which asks for one group and one executable. So with two versions of rules,
// and one identity that is proven, no two outcomes go together that do not among these.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/request_line.h"
#include "identity/connection_identity.h"
#include "policy/ruleset.h"

namespace msp::authoring {

/// What rules ask for and the record does not say.
struct Unsaid {
  bool groups = false;
  bool place = false;       ///< unit, cgroup or container
  bool executable = false;  ///< is it the file at a path that is written in another way?
  bool query = false;       ///< a redacted value
  bool cut = false;         ///< a text may have been cut
  bool too_much = false;    ///< more ways than are tried

  bool operator==(const Unsaid&) const = default;
  /// "groups, executable"; empty: nothing.
  std::string text() const;
};

struct PossibleCallers {
  std::vector<identity::ConnectionIdentity> callers;  ///< the plainest first; never empty
  Unsaid unsaid;
};

constexpr std::size_t kMostPossible = 4096;

/// One or two versions of a service's rules; null: none.
using Versions = std::array<const policy::RuleSet*, 2>;

/// `groups_known`: those in `line` are all. `proven`: an identity that may be proven by the record; null: none.
PossibleCallers possible_callers(const RequestLine& line, bool groups_known, const Versions& versions,
                                 const policy::IdentityRule* proven);

/// Keys of the query that rules ask for, folded → the values that they ask for.
using AskedQuery = std::map<std::string, std::set<std::string>, std::less<>>;
AskedQuery asked_query(const Versions& versions);

/// Whether a value of the query, or user information behind the authority, was replaced when it was logged.
bool may_be_redacted(std::string_view target);
/// Every target that may have been redacted to this one, as far as rules can tell them apart (not by a fragment);
/// the one itself first. Empty: more than kMostPossible.
std::vector<std::string> possible_targets(std::string_view target, const AskedQuery& asked);

}  // namespace msp::authoring
