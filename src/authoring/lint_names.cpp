// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <string_view>
#include <unordered_set>

#include "authoring/lint_checks.h"
#include "rules/blank.h"

namespace msp::authoring {
namespace {

using Names = std::unordered_set<std::string_view>;

class Check {
 public:
  Check(const Linted& linted, Findings& findings) : linted_(linted), findings_(findings) {}

  /// `one`: what an element of the section is called.
  template <class T>
  Names names(std::string_view section, std::string_view one, const std::vector<T>& items) {
    Names out;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string at = linted_.at(section, i) + "/name";
      if (rules::is_blank(items[i].name)) {
        findings_.error("blank-name", at, fmt::format("the {} has no name", one), "name it");
      }
      if (!out.insert(items[i].name).second) {
        findings_.error(
            "duplicate-name", at,
            fmt::format("there is an earlier {} \"{}\": only the last one of a name counts", one, items[i].name),
            "give each its own name");
      }
    }
    return out;
  }

  void references(const std::string& at, const std::vector<std::string>& list, const Names& known,
                  std::string_view code, std::string_view one) {
    Names seen;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string place = fmt::format("{}/{}", at, i);
      if (!known.contains(list[i])) {
        findings_.error(code, place,
                        fmt::format("there is no {} \"{}\": the field ignores this without a word", one, list[i]),
                        "mend the name, or add what it means");
      }
      if (!seen.insert(list[i]).second) {
        findings_.error("duplicate-reference", place, fmt::format("\"{}\" stands here twice", list[i]), "keep one");
      }
    }
  }

  /// Whatever no list names has no effect.
  template <class T>
  void unused(std::string_view section, std::string_view code, const std::vector<T>& items, const Names& used,
              std::string_view text, std::string_view remedy) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (!used.contains(items[i].name)) {
        findings_.warning(code, linted_.at(section, i), fmt::format(fmt::runtime(text), items[i].name),
                          std::string(remedy));
      }
    }
  }

 private:
  const Linted& linted_;
  Findings& findings_;
};

template <class T>
const std::vector<T>& items_of(const std::optional<std::vector<T>>& section) {
  static const std::vector<T> kNone;
  return section ? *section : kNone;
}

}  // namespace

void check_names(const Linted& linted, Findings& findings) {
  if (!linted.item.rules) {
    return;
  }
  const RuleSections& rules = *linted.item.rules;
  Check check(linted, findings);
  const Names privileges = check.names("privileges", "privilege", items_of(rules.privileges));
  const Names roles = check.names("roles", "role", items_of(rules.roles));
  const Names identities = check.names("identities", "identity", items_of(rules.identities));
  Names granted;
  for (std::size_t i = 0; i < items_of(rules.roles).size(); ++i) {
    const RuleRole& role = items_of(rules.roles)[i];
    const std::string at = linted.at("roles", i) + "/privileges";
    if (role.privileges.empty()) {
      findings.error("empty-role", at, fmt::format("the role \"{}\" holds no privilege", role.name),
                     "list its privileges, or remove it");
    }
    check.references(at, role.privileges, privileges, "dangling-privilege", "privilege");
    granted.insert(role.privileges.begin(), role.privileges.end());
  }
  Names assigned;
  Names callers;
  for (std::size_t i = 0; i < items_of(rules.role_assignments).size(); ++i) {
    const RuleAssignment& assignment = items_of(rules.role_assignments)[i];
    const std::string at = linted.at("roleAssignments", i);
    assigned.insert(assignment.role);
    callers.insert(assignment.identities.begin(), assignment.identities.end());
    if (!roles.contains(assignment.role)) {
      findings.error("dangling-role", at + "/role",
                     fmt::format("there is no role \"{}\": the whole assignment is ignored", assignment.role),
                     "mend the name, or add the role");
    }
    if (assignment.identities.empty()) {
      findings.error("empty-assignment", at + "/identities",
                     fmt::format("nobody is assigned the role \"{}\" here", assignment.role),
                     "list the identities, or remove the assignment");
    }
    check.references(at + "/identities", assignment.identities, identities, "dangling-identity", "identity");
  }
  check.unused("privileges", "privilege-in-no-role", items_of(rules.privileges), granted,
               "no role holds the privilege \"{}\": requests that match it are denied unless another one allows them",
               "add it to a role, or remove it if this is not meant");
  check.unused("roles", "role-unassigned", items_of(rules.roles), assigned, "the role \"{}\" is assigned to nobody",
               "add a role assignment, or remove it");
  check.unused("identities", "identity-unused", items_of(rules.identities), callers, "the identity \"{}\" has no role",
               "add it to a role assignment, or remove it");
}

}  // namespace msp::authoring
