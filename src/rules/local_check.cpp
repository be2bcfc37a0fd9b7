// SPDX-License-Identifier: Apache-2.0
// validate() of local_rules.h: protocol.md I.4.
#include <initializer_list>
#include <unordered_set>

#include "policy/fold.h"
#include "rules/blank.h"
#include "rules/local_rules.h"

namespace msp::rules {
namespace {

using Names = std::unordered_set<std::string_view>;

template <class T>
const std::vector<T>& items_of(const std::optional<std::vector<T>>& section) {
  static const std::vector<T> kNone;
  return section ? *section : kNone;
}

/// Keeps the first demand that was not met.
class Check {
 public:
  void demand(bool holds, std::initializer_list<std::string_view> broken) {
    if (!holds && broken_.empty()) {
      for (const std::string_view part : broken) {
        broken_ += part;
      }
    }
  }

  /// Not blank, unique.
  template <class T>
  Names names(std::string_view kind, const std::vector<T>& items) {
    Names out;
    for (const T& item : items) {
      demand(!is_blank(item.name), {"a name in ", kind, " is blank"});
      demand(out.insert(item.name).second, {"\"", item.name, "\" occurs twice in ", kind});
    }
    return out;
  }

  /// At least one; not blank, unique, known.
  void references(std::string_view kind, std::string_view name, const std::vector<std::string>& list,
                  const Names& known) {
    demand(!list.empty(), {kind, " \"", name, "\" names nothing"});
    Names seen;
    for (const std::string& reference : list) {
      demand(!is_blank(reference), {kind, " \"", name, "\" has a blank reference"});
      demand(seen.insert(reference).second, {kind, " \"", name, "\" names \"", reference, "\" twice"});
      demand(known.contains(reference), {kind, " \"", name, "\" names \"", reference, "\", which does not exist"});
    }
  }

  Result<void> result() const {
    if (broken_.empty()) {
      return {};
    }
    return config_error("the local rule file is invalid: " + broken_, "correct it; it is read again at every poll");
  }

 private:
  std::string broken_;
};

bool has_field(const std::optional<std::string>& field) { return field && !is_blank(*field); }

void check_sections(const RuleSections& rules, Check& check) {
  const Names privileges = check.names("privileges", items_of(rules.privileges));
  const Names roles = check.names("roles", items_of(rules.roles));
  const Names identities = check.names("identities", items_of(rules.identities));
  for (const RulePrivilege& privilege : items_of(rules.privileges)) {
    check.demand(!is_blank(privilege.path), {"the privilege \"", privilege.name, "\" has a blank path"});
    for (const auto& [key, value] : privilege.query_parameters) {
      check.demand(!is_blank(key) && !is_blank(value),
                   {"the privilege \"", privilege.name, "\" has a blank query key or value"});
    }
  }
  for (const RuleRole& role : items_of(rules.roles)) {
    check.references("the role", role.name, role.privileges, privileges);
  }
  for (const RuleIdentity& identity : items_of(rules.identities)) {
    check.demand(has_field(identity.user_name) || has_field(identity.group_name) || has_field(identity.exe_path) ||
                     has_field(identity.process_name) || identity.openmsp != IdentityExtension(),
                 {"the identity \"", identity.name, "\" has no field that says something, and would be everybody"});
  }
  for (const RuleAssignment& assignment : items_of(rules.role_assignments)) {
    check.demand(roles.contains(assignment.role),
                 {"an assignment names the role \"", assignment.role, "\", which does not exist"});
    check.references("the assignment of", assignment.role, assignment.identities, identities);
  }
}

}  // namespace

Result<void> validate(const LocalRuleFile& file) {
  Check check;
  if (file.default_access) {
    const std::string access = policy::lower(trim(*file.default_access));
    check.demand(access == "allow" || access == "deny", {"defaultAccess is neither allow nor deny"});
  }
  check.demand(!file.id || !is_blank(*file.id), {"the id is blank"});
  if (file.rules) {
    check_sections(*file.rules, check);
  }
  return check.result();
}

}  // namespace msp::rules
