// SPDX-License-Identifier: Apache-2.0
#include "tests/policy/reference_evaluator.h"

#include <algorithm>
#include <set>
#include <vector>

#include "tests/policy/reference_text.h"

namespace msp::test::reference {
namespace {

using identity::ConnectionIdentity;
using policy::Matching;

/// Of a repeated name the last bearer counts (E.2.4).
template <class T>
const T* last_named(const std::vector<T>& items, std::string_view name) {
  const T* found = nullptr;
  for (const T& item : items) {
    found = item.name == name ? &item : found;
  }
  return found;
}

/// A path as components: empty ones and inner '.' do not count.
std::vector<std::string> components(std::string_view path) {
  std::vector<std::string> out;
  const std::vector<std::string> parts = split(path, '/');
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].empty() && (parts[i] != "." || i == 0)) {
      out.push_back(parts[i]);
    }
  }
  out.insert(out.begin(), path.starts_with('/') ? "absolute" : "relative");
  return out;
}

bool exe_fits(const RuleIdentity& rule, const ConnectionIdentity& caller) {
  return !rule.exe_path || std::ranges::any_of(caller.exe_rule_paths, [&](const std::string& path) {
    return components(path) == components(*rule.exe_path);
  });
}

/// The cgroup fits what the identity asks for; `unknown` is the answer where it is not known.
bool place_fits(const IdentityExtension& rule, const ConnectionIdentity& caller, bool unknown) {
  if (!rule.unit && !rule.cgroup && !rule.container) {
    return true;
  }
  if (!caller.cgroup) {
    return unknown;
  }
  const identity::CgroupPlace& place = *caller.cgroup;
  const bool below = !rule.cgroup || *rule.cgroup == "/" || (place.path + "/").starts_with(*rule.cgroup + "/");
  const bool contained = !rule.container || (!place.container.empty() && place.container.starts_with(*rule.container));
  return below && contained && (!rule.unit || *rule.unit == place.unit);
}

bool matches(const RuleIdentity& rule, const ConnectionIdentity& caller) {
  // "undefined" is what the field writes for a user without name, so it is nobody's name (L.32).
  if (rule.user_name &&
      (*rule.user_name != caller.user_name || caller.user_name.empty() || caller.user_name == "undefined")) {
    return false;
  }
  if (rule.group_name && std::ranges::count(caller.group_names, *rule.group_name) == 0) {
    return false;
  }
  if (rule.process_name && *rule.process_name != caller.process_name) {
    return false;
  }
  return exe_fits(rule, caller) && place_fits(rule.openmsp, caller, false);
}

/// For a deny, what is not known of the caller counts against it.
bool may_match(const RuleIdentity& rule, const ConnectionIdentity& caller) {
  RuleIdentity known = rule;
  if (caller.user_name.empty()) {
    known.user_name.reset();
  }
  if (caller.more_groups || caller.group_names.size() < caller.groups.size()) {
    known.group_name.reset();
  }
  if (!caller.cgroup) {
    known.openmsp = {};
  }
  return matches(known, caller);
}

std::vector<Pair> lowered(const std::vector<Pair>& pairs) {
  std::vector<Pair> out;
  for (const auto& [key, value] : pairs) {
    const std::string folded = lower(key);
    std::erase_if(out, [&](const Pair& pair) { return pair.first == folded; });
    out.emplace_back(folded, lower(value));
  }
  return out;
}

bool matches_legacy(const RulePrivilege& privilege, const Request& request) {
  const auto [path, embedded] = cut(lower(decode(request.path)), '?');
  if (!path.starts_with(lower(privilege.path))) {
    return false;
  }
  std::vector<std::string> parts = split(request.query, '&');
  const std::vector<std::string> more = split(embedded, '&');
  parts.insert(parts.end(), more.begin(), more.end());
  for (const auto& [key, value] : lowered(privilege.query_parameters)) {
    const auto first = std::ranges::find_if(parts, [&](const std::string& part) {
      const std::string raw_key = cut(part, '=').first;
      return !raw_key.empty() && lower(decode(raw_key)) == key;
    });
    if (first == parts.end() || lower(decode(cut(*first, '=').second)) != value) {
      return false;
    }
  }
  return true;
}

/// `k=v` joined with '&', lowered.
std::string query_of(const RulePrivilege& privilege) {
  std::string out;
  for (const auto& [key, value] : lowered(privilege.query_parameters)) {
    out += (out.empty() ? "" : "&") + key + "=" + value;
  }
  return out;
}

bool matches_canonical(const RulePrivilege& privilege, const Request& request) {
  const Path wanted = canonical_path(lower(privilege.path));
  const Query required = canonical_query(query_of(privilege));
  const Path path = canonical_path(request.path);
  const Query query = canonical_query(request.query);
  if (!wanted.fault.empty() || !required.fault.empty() || wanted.segments.size() > path.segments.size() ||
      !std::equal(wanted.segments.begin(), wanted.segments.end(), path.segments.begin())) {
    return false;
  }
  return std::ranges::all_of(required.pairs, [&](const Pair& one_of) {
    // Any value that the rule has for this key will do.
    return std::ranges::any_of(required.pairs, [&](const Pair& pair) {
      return pair.first == one_of.first && std::ranges::count(query.pairs, pair) > 0;
    });
  });
}

bool matches(const RulePrivilege& privilege, Matching matching, const Request& request) {
  const std::vector<std::string>& methods = privilege.openmsp.methods;
  if (!methods.empty() && std::ranges::count(methods, request.method) == 0) {
    return false;
  }
  return matching == Matching::kEnforce ? matches_canonical(privilege, request) : matches_legacy(privilege, request);
}

bool is_usable(const std::optional<RuleSections>& rules) {
  return rules && rules->privileges && rules->roles && rules->identities && rules->role_assignments;
}

/// The assignment is about this privilege and this caller.
bool concerns(const RuleSections& rules, const RuleAssignment& assignment, const RulePrivilege& privilege,
              const ConnectionIdentity& caller) {
  const RuleRole* const role = last_named(*rules.roles, assignment.role);
  return role != nullptr && std::ranges::count(role->privileges, privilege.name) > 0 &&
         std::ranges::any_of(assignment.identities, [&](const std::string& name) {
           const RuleIdentity* const identity = last_named(*rules.identities, name);
           return identity != nullptr &&
                  (assignment.openmsp.deny ? may_match(*identity, caller) : matches(*identity, caller));
         });
}

std::vector<RulePrivilege> matching_privileges(const RuleItem& item, Matching matching, const Request& request) {
  std::vector<RulePrivilege> out;
  if (!is_usable(item.rules)) {
    return out;
  }
  for (const RulePrivilege& privilege : *item.rules->privileges) {
    if (last_named(*item.rules->privileges, privilege.name) == &privilege && matches(privilege, matching, request)) {
      out.push_back(privilege);
    }
  }
  return out;
}

/// No request meets it in canonical matching, or in the legacy one where that decides.
bool is_dead(const RulePrivilege& privilege, Matching matching) {
  if (!canonical_path(lower(privilege.path)).fault.empty() || !canonical_query(query_of(privilege)).fault.empty()) {
    return true;
  }
  const std::string& path = privilege.path;
  const bool elsewhere = !path.empty() && !path.starts_with('/') && path != "*";
  // A request whose path has these once it is decoded is refused before rules are asked.
  const bool climbs = path.contains("//") || path.contains("/../");
  return matching != Matching::kEnforce &&
         (elsewhere || climbs || path.contains('?') ||
          std::ranges::any_of(privilege.query_parameters, [](const Pair& pair) { return pair.first.empty(); }));
}

/// It names something that is not there, or that no request ever meets.
bool dangles(const RuleSections& rules, const RuleAssignment& assignment, Matching matching) {
  const RuleRole* const role = last_named(*rules.roles, assignment.role);
  return role == nullptr ||
         std::ranges::any_of(role->privileges,
                             [&](const std::string& name) {
                               const RulePrivilege* const privilege = last_named(*rules.privileges, name);
                               return privilege == nullptr || is_dead(*privilege, matching);
                             }) ||
         std::ranges::any_of(assignment.identities,
                             [&](const std::string& name) { return last_named(*rules.identities, name) == nullptr; });
}

/// What an assignment of that effect is about: its privilege matches the request, one of its identities the caller.
bool any_concerns(const RuleItem& item, AssignmentExtension effect, Matching matching, const ConnectionIdentity& caller,
                  const Request& request) {
  for (const RulePrivilege& privilege : matching_privileges(item, matching, request)) {
    for (const RuleAssignment& assignment : *item.rules->role_assignments) {
      if (assignment.openmsp == effect && concerns(*item.rules, assignment, privilege, caller)) {
        return true;
      }
    }
  }
  return false;
}

/// "explicit_deny", "rule", "default_access", "identity_mismatch" or "no_rule".
std::string by_rules(const RuleItem& item, Matching matching, const ConnectionIdentity& caller,
                     const Request& request) {
  if (any_concerns(item, {.deny = true, .dry_run = false}, matching, caller, request)) {
    return "explicit_deny";
  }
  if (any_concerns(item, {.deny = false, .dry_run = false}, matching, caller, request)) {
    return "rule";
  }
  if (!matching_privileges(item, matching, request).empty()) {
    return "identity_mismatch";
  }
  return lower(item.default_access) == "allow" ? "default_access" : "no_rule";
}

/// Something of ours cannot be kept: a hash that nobody can take, a deny that would be lost.
bool is_unusable(const RuleItem& item, Matching matching) {
  if (!item.problems.empty() || (item.rules && !item.rules->problems.empty())) {
    return true;
  }
  if (!item.rules) {
    return false;
  }
  const RuleSections& rules = *item.rules;
  if (rules.identities && std::ranges::any_of(*rules.identities, [](const RuleIdentity& identity) {
        return identity.openmsp.exe_sha256.has_value();
      })) {
    return true;
  }
  return rules.role_assignments && std::ranges::any_of(*rules.role_assignments, [&](const RuleAssignment& assignment) {
           return assignment.openmsp.deny && (!is_usable(rules) || dangles(rules, assignment, matching));
         });
}

bool is_allowed(std::string_view outcome) { return outcome == "rule" || outcome == "default_access"; }

std::string canonical_fault(const Request& request) {
  const std::set<std::string> methods = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"};
  if (!methods.contains(request.method)) {
    return "CANON_METHOD";
  }
  const std::string fault = canonical_path(request.path).fault;
  return fault.empty() ? canonical_query(request.query).fault : fault;
}

std::string mode_of(const RuleItem& item, Matching matching) {
  const std::string mode = lower(item.mode);
  if (mode == "disabled" || mode == "audit" || mode == "enforce") {
    return mode;
  }
  return matching == Matching::kOff ? "disabled" : "enforce";
}

}  // namespace

std::string decide(const std::optional<RuleItem>& item, Matching matching, const ConnectionIdentity& caller,
                   const Request& request) {
  const std::string fault = canonical_fault(request);
  if (matching == Matching::kEnforce && !fault.empty()) {
    return "deny " + lower(fault);
  }
  if (!caller.known || caller.direct) {
    return "deny no_identity";
  }
  if (request.exempt && caller.elevated) {
    return "permit exempt";
  }
  if (request.service != Service::kImds && !caller.elevated) {
    return "deny not_elevated";
  }
  if (!item) {
    return "permit no_rules";
  }
  if (is_unusable(*item, matching)) {
    return "deny rules_unusable";
  }
  const std::string mode = mode_of(*item, matching);
  if (mode == "disabled") {
    return "permit disabled";
  }
  const std::string outcome = by_rules(*item, matching, caller, request);
  if (is_allowed(outcome)) {
    return "permit " + outcome;
  }
  return (mode == "audit" ? "permit audit " : "deny ") + outcome;
}

std::string words_of(const policy::Decision& decision) {
  if (const auto* permit = std::get_if<policy::Permit>(&decision)) {
    const std::string ground(to_string(permit->ground()));
    return "permit " + ground + (permit->audit_only() ? " " + std::string(to_string(permit->audit_reason())) : "");
  }
  return "deny " + std::string(std::get<policy::Denial>(decision).code());
}

std::string legacy_verdict(const RuleItem& item, const ConnectionIdentity& caller, const Request& request) {
  return is_allowed(by_rules(item, Matching::kOff, caller, request)) ? "allow" : "deny";
}

std::string canonical_verdict(const RuleItem& item, const ConnectionIdentity& caller, const Request& request) {
  if (!canonical_fault(request).empty()) {
    return "reject";
  }
  return is_allowed(by_rules(item, Matching::kEnforce, caller, request)) ? "allow" : "deny";
}

std::string dry_run_verdict(const RuleItem& item, Matching matching, const ConnectionIdentity& caller,
                            const Request& request) {
  if (any_concerns(item, {.deny = true, .dry_run = true}, matching, caller, request)) {
    return "deny";
  }
  const bool denied = any_concerns(item, {.deny = true, .dry_run = false}, matching, caller, request);
  return !denied && any_concerns(item, {.deny = false, .dry_run = true}, matching, caller, request) ? "allow"
                                                                                                    : "not run";
}

bool grants(const RuleItem& item, Matching matching, const policy::RuleNames& names, const ConnectionIdentity& caller,
            const Request& request) {
  if (!is_usable(item.rules)) {
    return false;
  }
  const RuleSections& rules = *item.rules;
  const RulePrivilege* const privilege = last_named(*rules.privileges, names.privilege);
  const RuleRole* const role = last_named(*rules.roles, names.role);
  const RuleIdentity* const identity = last_named(*rules.identities, names.identity);
  return privilege != nullptr && role != nullptr && identity != nullptr && matches(*privilege, matching, request) &&
         matches(*identity, caller) && std::ranges::count(role->privileges, privilege->name) > 0 &&
         std::ranges::any_of(*rules.role_assignments, [&](const RuleAssignment& assignment) {
           return assignment.openmsp == AssignmentExtension() && assignment.role == role->name &&
                  std::ranges::count(assignment.identities, identity->name) > 0;
         });
}

}  // namespace msp::test::reference
