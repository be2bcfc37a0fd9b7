// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>

#include "authoring/lint_checks.h"
#include "policy/fold.h"
#include "rules/blank.h"
#include "rules/local_rules.h"

namespace msp::authoring {
namespace {

bool is_mode(std::string_view text) { return text == "disabled" || text == "audit" || text == "enforce"; }

void check_mode(const Linted& linted, Findings& findings) {
  const std::string& mode = linted.item.mode;
  const std::string at = linted.pointer + "/mode";
  const std::string lower = policy::lower(mode);
  const bool field = linted.options.target == Target::kField;
  if (is_mode(lower)) {
    if (lower == "disabled") {
      findings.warning("mode-disabled", at, "with mode disabled no rule of this item has any effect",
                       "write audit or enforce, unless this is meant");
    }
    return;
  }
  const bool padded = is_mode(rules::trim(lower));
  findings.error(
      padded ? "padded-mode" : "unknown-mode", at,
      fmt::format("the mode \"{}\" is none of disabled, audit and enforce, and counts as {}", mode,
                  field ? "disabled: every rule is off" : "enforce (with canonicalRequestMode off: disabled)"),
      padded ? "remove the blanks" : "write disabled, audit or enforce");
}

void check_default_access(const Linted& linted, Findings& findings) {
  const std::string& access = linted.item.default_access;
  const std::string at = linted.pointer + "/defaultAccess";
  const std::string lower = policy::lower(access);
  if (lower == "allow" || lower == "deny") {
    return;
  }
  const std::string_view trimmed = rules::trim(lower);
  if (trimmed == "allow" || trimmed == "deny") {
    findings.error("padded-default-access", at,
                   fmt::format("defaultAccess has blanks around \"{}\", and so denies", trimmed), "remove the blanks");
    return;
  }
  findings.error("unknown-default-access", at,
                 fmt::format("defaultAccess \"{}\" is neither allow nor deny, and so denies", access),
                 "write allow or deny");
}

/// Both default allow without a privilege and default deny without one decide every request alike.
void check_content(const Linted& linted, Findings& findings) {
  const RuleItem& item = linted.item;
  const bool allows = policy::lower(item.default_access) == "allow";
  const bool has_privileges = item.rules && item.rules->privileges && item.rules->roles && item.rules->identities &&
                              item.rules->role_assignments && !item.rules->privileges->empty();
  const std::string at = linted.pointer + "/defaultAccess";
  if (has_privileges) {
    if (allows) {
      findings.note("default-allow", at, "what no privilege names is allowed to every caller",
                    "write deny, so that only what is listed passes");
    }
    return;
  }
  if (allows) {
    findings.warning("world-open", at, "every request of every caller is allowed: there is no rule that says less",
                     "write deny and privileges, or leave the item out if this is meant");
  } else {
    findings.warning("world-closed", at, "every request of every caller is denied: there is no rule that allows any",
                     "write privileges, roles, identities and roleAssignments");
  }
}

void check_sections(const Linted& linted, Findings& findings) {
  if (!linted.item.rules) {
    return;
  }
  const RuleSections& rules = *linted.item.rules;
  const std::string at = linted.pointer + "/rules";
  std::string missing;
  const auto look = [&](std::string_view name, bool present, bool empty) {
    if (!present) {
      missing += fmt::format("{}\"{}\"", missing.empty() ? "" : ", ", name);
    } else if (empty) {
      findings.warning("empty-section", fmt::format("{}/{}", at, name),
                       fmt::format("the section \"{}\" is empty, so that nobody is granted anything", name),
                       "fill it, or remove \"rules\"");
    }
  };
  look("privileges", rules.privileges.has_value(), rules.privileges && rules.privileges->empty());
  look("roles", rules.roles.has_value(), rules.roles && rules.roles->empty());
  look("identities", rules.identities.has_value(), rules.identities && rules.identities->empty());
  look("roleAssignments", rules.role_assignments.has_value(),
       rules.role_assignments && rules.role_assignments->empty());
  if (!missing.empty()) {
    findings.error(
        "missing-section", at,
        fmt::format("{} missing: then all four sections are ignored, and only defaultAccess decides", missing),
        "write all four; one that is empty is []");
  }
}

/// Faults in our own members, which make the agent deny everything (protocol.md L.31). Each line begins with its place.
void check_refusals(const Linted& linted, Findings& findings) {
  for (const std::string& line : policy::RuleSet::refusals(linted.item, linted.options.matching)) {
    const std::size_t end = std::min(line.size(), line.find_first_of(": "));
    std::string at = line.starts_with('/') ? line.substr(0, end) : linted.pointer;
    if (!at.starts_with(linted.pointer)) {
      at.insert(0, linted.pointer);
    }
    findings.error("openmsp-refused", at, line, "mend it: as long as it is so, OpenMSP's agent denies every request");
  }
}

}  // namespace

void check_head(const Linted& linted, Findings& findings) {
  check_mode(linted, findings);
  check_default_access(linted, findings);
  check_content(linted, findings);
  check_sections(linted, findings);
  if (linted.options.target == Target::kOpenMsp) {
    check_refusals(linted, findings);
  }
  if (!linted.local && rules::describe_id(linted.item.id).use_local_file_rules) {
    findings.note("local-rules-on", linted.pointer + "/id",
                  "this id switches local rule files on: what root writes there is added to these rules",
                  "lint the merged rules too");
  }
  if (!linted.local && rules::is_blank(linted.item.id)) {
    findings.warning("blank-id", linted.pointer + "/id",
                     "without an id the field's agent does not notice these rules as long as it has seen no other",
                     "give the rules an id, and a new one with each change");
  }
}

}  // namespace msp::authoring
