// SPDX-License-Identifier: Apache-2.0
// How the two matchers read a request and compare it with one privilege, with what was wanted and found
// (protocol.md E.3, E.6). Written a second time, plainly and from the rules as text, so that it can be checked against
// the engine.
// Values; any thread. A reading lives as long as the request's views.
// Nothing fails: a request without canonical form meets nothing in the canonical reading.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/rules_document.h"
#include "policy/engine.h"

namespace msp::authoring {

enum class Matcher : std::uint8_t { kLegacy, kCanonical };
/// "legacy", "canonical".
std::string_view to_string(Matcher matcher);

/// One thing that a rule asks for.
struct Check {
  std::string what;  ///< "path", "query resource", "userName", …
  std::string wanted;
  std::string found;
  bool met = false;
  std::size_t missing = 0;  ///< of a path: how many parts of the rule's the request does not go along with
};

class Reading {
 public:
  Reading(Matcher matcher, const policy::RequestView& request);

  /// The path first, then each query parameter, then the method.
  std::vector<Check> compare(const RulePrivilege& privilege) const;
  /// The request's path as this matcher sees it.
  const std::string& path() const { return path_; }
  const std::vector<std::pair<std::string, std::string>>& query() const { return query_; }

 private:
  void read_legacy(const policy::RequestView& request);
  void read_canonical(const policy::RequestView& request);
  std::vector<Check> compare_legacy(const RulePrivilege& privilege) const;
  std::vector<Check> compare_canonical(const RulePrivilege& privilege) const;
  std::string found_values(std::string_view key, bool first_only) const;

  Matcher matcher_;
  std::string method_;
  bool readable_ = true;
  std::string path_;
  std::vector<std::pair<std::string, std::string>> query_;  ///< in the order of the matcher
};

}  // namespace msp::authoring
