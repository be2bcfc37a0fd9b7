// SPDX-License-Identifier: Apache-2.0
// Cases that an author keeps beside the rules: who asks what, and what is expected (docs/mspctl-policy.md).
// Owned by one run of a tool; any thread. Our own form, read strictly: unknown members are problems, all told at once.
// A file with any problem is an Error that lists them with their places.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/asked.h"
#include "authoring/caller.h"
#include "authoring/judge.h"
#include "base/json_fields.h"
#include "base/result.h"
#include "policy/ruleset.h"

namespace msp::authoring {

/// Only what is given must hold.
struct Expected {
  Outcome outcome = Outcome::kPermit;
  std::optional<int> status;
  std::optional<std::string> code;
  std::optional<std::string> privilege;
};

struct Case {
  std::string name;
  std::string pointer;  ///< where it stands
  Caller caller;
  std::string method;
  Url url;
  std::optional<policy::Matching> matching;
  Expected expected;
};

struct CaseFile {
  std::string rules_path;  ///< as written; empty: the rules stand in the file itself
  std::string rules_text;  ///< of rules in the file; empty with a path, or for cases without rules
  policy::Matching matching = policy::Matching::kEnforce;
  std::optional<Service> service;  ///< whose a single item is, and who is asked by paths
  std::vector<Case> cases;
};

/// What a case and a line of requests have in common: as, service, request. Problems are added.
void read_question(json::ObjectReader& reader, std::optional<Service> of_file, Case& out);
/// The member "expect"; nothing if it is missing.
std::optional<Expected> read_expected(json::ObjectReader& reader);

Result<CaseFile> read_cases(std::string_view text, std::string_view name);

/// What of `expected` does not hold, in words; empty if all does.
std::string difference(const Expected& expected, const Judgement& found);

}  // namespace msp::authoring
