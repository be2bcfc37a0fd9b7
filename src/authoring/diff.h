// SPDX-License-Identifier: Apache-2.0
// What changes between two versions of rules: who may ask for what on one side and not on the other.
// Pure; any thread. By meaning, not by text: order, names and ways to write the same make no difference.
// Each difference comes with a request that the engine decides differently on the two sides. What had to be left out
// since the rules are large is said in `bounds`; rules that cannot be compared are an Error.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/caller.h"
#include "authoring/judge.h"
#include "authoring/rule_source.h"
#include "base/net.h"
#include "base/result.h"
#include "policy/ruleset.h"

namespace msp::authoring {

/// What one side says to the witness.
struct SideVerdict {
  Outcome outcome = Outcome::kDeny;
  std::string code;       ///< why it is refused, or would be without mode audit
  std::string ground;     ///< why it passes: "rule", "default_access", "no_rules", "disabled", "audit", "exempt"
  std::string privilege;  ///< of the rule, or of the nearest miss
  std::string identity;
};

struct Witness {
  Service service = Service::kImds;
  std::string method;
  std::string target;
  Caller caller;
};

struct Difference {
  bool opens = false;     ///< refused on side A, passes on side B; else the other way round
  std::string privilege;  ///< as the side calls it that grants it; empty: what no privilege names
  std::string identity;   ///< the same; empty: whoever no rule names
  Witness witness;
  SideVerdict a;
  SideVerdict b;
};

/// Something about an item as a whole: "mode: enforce -> audit".
struct HeadChange {
  Service service = Service::kImds;
  std::string what;
  std::string a;
  std::string b;
};

struct DiffReport {
  std::vector<Difference> differences;  ///< those that open first
  std::vector<HeadChange> heads;
  std::vector<std::string> bounds;
  std::vector<std::string> remarks;
  std::size_t requests = 0;   ///< candidates that were tried
  std::size_t decisions = 0;  ///< on each side
  std::size_t steps = 0;      ///< all of the work: requests put together, privileges and callers looked at, decisions

  bool same() const { return differences.empty() && heads.empty(); }
};

struct DiffOptions {
  policy::Matching matching = policy::Matching::kEnforce;
  std::size_t max_decisions = 2'000'000;  ///< on each side
  std::size_t max_steps = 20'000'000;
};

Result<DiffReport> diff(const RuleSource& a, const RuleSource& b, const DiffOptions& options);

}  // namespace msp::authoring
