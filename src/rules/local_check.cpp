// SPDX-License-Identifier: Apache-2.0
// check_local_rules() and validate() of local_rules.h: protocol.md I.4.
#include <fmt/core.h>

#include <unordered_set>

#include "base/utf8.h"
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

/// In quotes; of a long text the beginning, so that a message stays one that can be read.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 80;
  return fmt::format("\"{}\"{}", utf8_truncate(text, kMost), text.size() > kMost ? "…" : "");
}

std::string at(std::string_view section, std::size_t index) { return fmt::format("/rules/{}/{}", section, index); }

class Check {
 public:
  explicit Check(json::Misfits& misfits) : misfits_(misfits) {}

  void demand(bool holds, std::string_view pointer, std::string_view broken) {
    if (!holds) {
      misfits_.add(pointer, broken);
    }
  }

  /// Not blank, unique.
  template <class T>
  Names names(std::string_view section, const std::vector<T>& items) {
    Names out;
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::string& name = items[i].name;
      const bool fresh = out.insert(name).second;
      if (is_blank(name)) {
        misfits_.add(at(section, i) + "/name", "the name is blank");
      } else if (!fresh) {
        misfits_.add(at(section, i) + "/name", fmt::format("{} occurs twice in {}", quoted(name), section));
      }
    }
    return out;
  }

  /// At least one; not blank, unique, known.
  void references(const std::string& pointer, const std::vector<std::string>& list, const Names& known) {
    demand(!list.empty(), pointer, "the list names nothing");
    Names seen;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string& reference = list[i];
      const bool fresh = seen.insert(reference).second;
      if (is_blank(reference)) {
        misfits_.add(fmt::format("{}/{}", pointer, i), "the reference is blank");
      } else if (!fresh) {
        misfits_.add(fmt::format("{}/{}", pointer, i), fmt::format("the list names {} twice", quoted(reference)));
      } else if (!known.contains(reference)) {
        misfits_.add(fmt::format("{}/{}", pointer, i),
                     fmt::format("the list names {}, which does not exist", quoted(reference)));
      }
    }
  }

  void privilege(const std::string& pointer, const RulePrivilege& privilege) {
    demand(!is_blank(privilege.path), pointer + "/path", "the path is blank");
    for (const auto& [key, value] : privilege.query_parameters) {
      std::string place = pointer + "/queryParameters";
      json::append_pointer(place, key);
      demand(!is_blank(key), place, "the key of a query parameter is blank");
      demand(!is_blank(value), place, "the value of a query parameter is blank");
    }
  }

  void assignment(const std::string& pointer, const RuleAssignment& assignment, const Names& roles) {
    if (is_blank(assignment.role)) {
      misfits_.add(pointer + "/role", "the role is blank");
    } else if (!roles.contains(assignment.role)) {
      misfits_.add(pointer + "/role", fmt::format("there is no role {}", quoted(assignment.role)));
    }
  }

 private:
  json::Misfits& misfits_;
};

bool has_field(const std::optional<std::string>& field) { return field && !is_blank(*field); }

bool says_something(const RuleIdentity& identity) {
  return has_field(identity.user_name) || has_field(identity.group_name) || has_field(identity.exe_path) ||
         has_field(identity.process_name) || identity.openmsp != IdentityExtension();
}

void check_sections(const RuleSections& rules, Check& check) {
  const auto& identities = items_of(rules.identities);
  const auto& assignments = items_of(rules.role_assignments);
  const Names privilege_names = check.names("privileges", items_of(rules.privileges));
  const Names role_names = check.names("roles", items_of(rules.roles));
  const Names identity_names = check.names("identities", identities);
  for (std::size_t i = 0; i < items_of(rules.privileges).size(); ++i) {
    check.privilege(at("privileges", i), items_of(rules.privileges)[i]);
  }
  for (std::size_t i = 0; i < items_of(rules.roles).size(); ++i) {
    check.references(at("roles", i) + "/privileges", items_of(rules.roles)[i].privileges, privilege_names);
  }
  for (std::size_t i = 0; i < identities.size(); ++i) {
    check.demand(says_something(identities[i]), at("identities", i),
                 "the identity has no field that says something, and would be everybody");
  }
  for (std::size_t i = 0; i < assignments.size(); ++i) {
    check.assignment(at("roleAssignments", i), assignments[i], role_names);
    check.references(at("roleAssignments", i) + "/identities", assignments[i].identities, identity_names);
  }
}

}  // namespace

void check_local_rules(const LocalRuleFile& file, json::Misfits& misfits) {
  Check check(misfits);
  if (file.default_access) {
    const std::string access = policy::lower(trim(*file.default_access));
    check.demand(access == "allow" || access == "deny", "/defaultAccess", "defaultAccess is neither allow nor deny");
  }
  check.demand(!file.id || !is_blank(*file.id), "/id", "the id is blank");
  if (file.rules) {
    check_sections(*file.rules, check);
  }
}

Result<void> validate(const LocalRuleFile& file) {
  json::Misfits misfits;
  check_local_rules(file, misfits);
  if (!misfits.any()) {
    return {};
  }
  Error error = misfits.error(Source::kConfig, "the local rule file");
  error.hint = "correct it; it is read again at every poll";
  return error;
}

}  // namespace msp::rules
