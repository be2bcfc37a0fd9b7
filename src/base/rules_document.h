// SPDX-License-Identifier: Apache-2.0
// Authorization rules as text says them (protocol.md E.1): passive data that guest and host both read and write.
// Owned by whoever parsed it; any thread. Nothing is compiled, folded or checked against each other here.
// Reading refuses a document as a whole on a wrong type, a missing required or a repeated known member (E.1). Faults in
// our own objects `openmsp` do not: they are kept as `problems`, and a set that has any compiles to a deny-all (L.31).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_members.h"
#include "base/rules_extension.h"

namespace msp {

/// Limits of a text with rules, whoever reads it: what the tools take, the agent takes, from the host and from files.
constexpr json::Options rule_text_limits(Source source) {
  return {.max_bytes = std::size_t{64} << 20, .max_depth = 128, .max_nodes = 4'000'000, .source = source};
}

struct RulePrivilege {
  std::string name;
  std::string path;  ///< as written
  /// As written, in order of first appearance, each key once: of a repeated key the last value stays. Empty when
  /// absent.
  std::vector<std::pair<std::string, std::string>> query_parameters;
  PrivilegeExtension openmsp = {};

  bool operator==(const RulePrivilege&) const = default;
};

struct RuleRole {
  std::string name;
  std::vector<std::string> privileges;

  bool operator==(const RuleRole&) const = default;
};

/// A field that is absent (or null) restricts nothing; an empty text is a text that must match.
struct RuleIdentity {
  std::string name;
  std::optional<std::string> user_name;
  std::optional<std::string> group_name;
  std::optional<std::string> exe_path;
  std::optional<std::string> process_name;
  IdentityExtension openmsp = {};

  bool operator==(const RuleIdentity&) const = default;
};

struct RuleAssignment {
  std::string role;
  std::vector<std::string> identities;
  AssignmentExtension openmsp = {};

  bool operator==(const RuleAssignment&) const = default;
};

/// One absent section disables all four (E.2.3), so absent and empty differ.
struct RuleSections {
  std::optional<std::vector<RulePrivilege>> privileges;
  std::optional<std::vector<RuleRole>> roles;
  std::optional<std::vector<RuleIdentity>> identities;
  std::optional<std::vector<RuleAssignment>> role_assignments;
  /// What is wrong with objects `openmsp` in here, a line each, with its place and what to do.
  std::vector<std::string> problems = {};

  bool operator==(const RuleSections&) const = default;
};

/// One item of a status document: `authorizationRules.imds`, `.wireserver` or `.hostga`. Texts are as written.
struct RuleItem {
  std::string default_access;
  std::string mode;
  std::string id;
  std::optional<RuleSections> rules;
  std::vector<std::string> problems = {};  ///< as RuleSections::problems, of the item itself

  bool operator==(const RuleItem&) const = default;
};

/// A local rule file (protocol.md I.2): every member may be absent, there is no mode.
struct LocalRuleFile {
  std::optional<std::string> id;
  std::optional<std::string> default_access;
  std::optional<RuleSections> rules;
  std::vector<std::string> problems = {};  ///< as RuleSections::problems, of the file itself

  bool operator==(const LocalRuleFile&) const = default;
};

/// From the value that stands at `pointer` of a parsed document; misfits are added, and the item then means nothing.
RuleItem read_rule_item(const json::Value& value, const std::string& pointer, json::Misfits& misfits);
RuleSections read_rule_sections(const json::Value& value, const std::string& pointer, json::Misfits& misfits);
LocalRuleFile read_local_rule_file(const json::Value& value, json::Misfits& misfits);

/// One item of untrusted text; `source` is whose fault an error is.
Result<RuleItem> parse_rule_item(std::string_view text, Source source);
/// One that write_rule_item() wrote, in this program or its monitor: of any size, since what was taken is not refused
/// later for the form that it was passed on in. An error is a bug.
Result<RuleItem> read_written_item(std::string_view text);

/// The wire form, members in the order of E.1; what is absent is left out. What had problems is written so that every
/// reader finds a problem again: it never comes back as less than it was.
void write_rule_item(json::Writer& writer, const RuleItem& item);
void write_rule_sections(json::Writer& writer, const RuleSections& sections);
/// At least as many bytes as write_rule_item() makes of it; near to it where texts are near to what rules say.
std::size_t written_size(const RuleItem& item);

}  // namespace msp
