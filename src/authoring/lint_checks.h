// SPDX-License-Identifier: Apache-2.0
// The parts of lint, one file each; only lint.cpp and their tests call them.
// Pure; any thread.
// Each adds to Findings and cannot fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "authoring/finding.h"
#include "authoring/lint.h"
#include "authoring/rule_source.h"
#include "base/json.h"
#include "base/rules_document.h"

namespace msp::authoring {

/// One item, as the agent reads it, and where it stands.
struct Linted {
  const RuleItem& item;
  std::string pointer;      ///< of the item in the text
  bool local = false;       ///< from a local rule file: I.4 holds, and it has no mode
  bool wireserver = false;  ///< for WireServer and HostGAPlugin, which answer root alone
  const LintOptions& options;

  /// "/rules/privileges/3" behind the item's own.
  std::string at(std::string_view section, std::size_t index) const {
    return pointer + "/rules/" + std::string(section) + "/" + std::to_string(index);
  }
};

/// What members an object with fixed names may have besides those of the item itself, by where the item stands.
enum class ItemForm : std::uint8_t { kItem, kLocal, kVersion };

/// What stands around the items, and what is not there: members that nobody reads, an IMDS without rules.
void check_document(const json::Value& tree, RuleForm form, Findings& findings);
/// Of a resource, which may be a profile as well.
bool is_version(const json::Value& resource);

/// Types, missing, repeated and unknown members of the JSON itself. Returns pointers to what the agent could not read:
/// with any, it refuses the whole.
std::vector<std::string> check_shape(const json::Value& item, const std::string& pointer, ItemForm form,
                                     Findings& findings);
/// Our own members, where they would be ignored and so widen the rules.
void check_extensions(const json::Value& item, const std::string& pointer, Findings& findings);

void check_head(const Linted& linted, Findings& findings);
/// Dangling and repeated names, blank ones, lists without anything in them.
void check_names(const Linted& linted, Findings& findings);
/// Paths and query parameters that no request can meet, or that mean something else than they seem to.
void check_privileges(const Linted& linted, Findings& findings);
void check_identities(const Linted& linted, Findings& findings);
/// Rules without effect: beside broader ones, or since nobody can be the caller.
void check_reach(const Linted& linted, Findings& findings);
/// What an assignment gives beside others: nothing more, or what is denied again. Methods that a default leaves open.
void check_grants(const Linted& linted, Findings& findings);
/// Requests about which the two readings of these rules disagree.
void check_matching(const Linted& linted, Findings& findings);
void check_machine(const Linted& linted, Machine& machine, Findings& findings);

}  // namespace msp::authoring
