// SPDX-License-Identifier: Apache-2.0
#include "authoring/trace.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "policy/exe_path.h"
#include "policy/fold.h"

namespace msp::authoring {
namespace {

constexpr std::size_t kIdentityWeight = 1;
constexpr std::size_t kUnassignedWeight = 50;
constexpr std::size_t kQueryWeight = 100;
constexpr std::size_t kPathWeight = 10'000;

/// The last bearer of each name (E.2.4).
template <class T>
std::map<std::string_view, const T*> by_name(const std::vector<T>& items) {
  std::map<std::string_view, const T*> out;
  for (const T& item : items) {
    out[item.name] = &item;
  }
  return out;
}

struct Holder {
  std::string_view role;
  const RuleIdentity* identity = nullptr;

  auto operator<=>(const Holder&) const = default;
};

/// Name of a privilege → who holds it, in the order of the assignments.
std::map<std::string_view, std::vector<Holder>> holders_of(const RuleSections& rules) {
  const auto roles = by_name(*rules.roles);
  const auto identities = by_name(*rules.identities);
  std::map<std::string_view, std::vector<Holder>> out;
  std::set<std::pair<std::string_view, Holder>> known;
  for (const RuleAssignment& assignment : *rules.role_assignments) {
    const auto role = roles.find(assignment.role);
    if (role == roles.end()) {
      continue;
    }
    for (const std::string& privilege : role->second->privileges) {
      for (const std::string& name : assignment.identities) {
        const auto identity = identities.find(name);
        if (identity == identities.end()) {
          continue;
        }
        const Holder holder{.role = role->first, .identity = identity->second};
        if (known.emplace(privilege, holder).second) {
          out[privilege].push_back(holder);
        }
      }
    }
  }
  return out;
}

Check user_check(const std::string& wanted, const identity::ConnectionIdentity& caller) {
  const std::string& name = caller.user_name;
  return {.what = "userName",
          .wanted = wanted == "undefined" ? "undefined (which is nobody's name)" : wanted,
          .found = name.empty() ? "a user without name" : name,
          .met = !name.empty() && name == wanted && wanted != "undefined"};
}

Check group_check(const std::string& wanted, const identity::ConnectionIdentity& caller) {
  return {.what = "groupName",
          .wanted = wanted,
          .found = caller.group_names.empty() ? "no groups" : fmt::format("{}", fmt::join(caller.group_names, ", ")),
          .met = std::ranges::find(caller.group_names, wanted) != caller.group_names.end()};
}

Check exe_check(const std::string& wanted, const identity::ConnectionIdentity& caller) {
  const bool met = std::ranges::any_of(caller.exe_rule_paths,
                                       [&](const std::string& path) { return policy::same_components(path, wanted); });
  return {.what = "exePath",
          .wanted = wanted,
          .found = caller.exe_path.empty() ? "an unknown executable" : caller.exe_path,
          .met = met};
}

std::vector<Check> identity_checks(const RuleIdentity& identity, const identity::ConnectionIdentity& caller) {
  std::vector<Check> out;
  if (identity.user_name) {
    out.push_back(user_check(*identity.user_name, caller));
  }
  if (identity.group_name) {
    out.push_back(group_check(*identity.group_name, caller));
  }
  if (identity.process_name) {
    out.push_back({.what = "processName",
                   .wanted = *identity.process_name,
                   .found = caller.process_name.empty() ? "no name" : caller.process_name,
                   .met = *identity.process_name == caller.process_name});
  }
  if (identity.exe_path) {
    out.push_back(exe_check(*identity.exe_path, caller));
  }
  return out;
}

bool all_met(const std::vector<Check>& checks) { return std::ranges::all_of(checks, &Check::met); }

std::size_t distance_of(const std::vector<Check>& privilege_checks) {
  std::size_t out = 0;
  for (const Check& check : privilege_checks) {
    out += check.met ? 0 : check.missing * kPathWeight + (check.missing == 0 ? kQueryWeight : 0);
  }
  return out;
}

void add_rules(const RulePrivilege& privilege, const std::vector<Check>& checks, const std::vector<Holder>& holders,
               const identity::ConnectionIdentity& caller, Trace& out) {
  RuleTrace base;
  base.privilege = privilege.name;
  base.checks = checks;
  base.privilege_met = all_met(checks);
  base.distance = distance_of(checks);
  if (holders.empty()) {
    base.distance += kUnassignedWeight;
    out.rules.push_back(std::move(base));
    return;
  }
  for (const Holder& holder : holders) {
    RuleTrace rule = base;
    rule.role = holder.role;
    rule.identity = holder.identity->name;
    rule.assigned = true;
    const std::vector<Check> fields = identity_checks(*holder.identity, caller);
    rule.identity_met = all_met(fields);
    rule.distance += kIdentityWeight * static_cast<std::size_t>(std::ranges::count(fields, false, &Check::met));
    rule.checks.insert(rule.checks.end(), fields.begin(), fields.end());
    out.rules.push_back(std::move(rule));
  }
}

}  // namespace

Trace trace_rules(const RuleItem& item, const identity::ConnectionIdentity& caller, const policy::RequestView& request,
                  Matcher matcher) {
  Trace out;
  const Reading reading(matcher, request);
  if (item.rules && item.rules->privileges && item.rules->roles && item.rules->identities &&
      item.rules->role_assignments) {
    const auto last = by_name(*item.rules->privileges);
    auto holders = holders_of(*item.rules);
    for (const RulePrivilege& privilege : *item.rules->privileges) {
      if (last.at(privilege.name) == &privilege) {
        add_rules(privilege, reading.compare(privilege), holders[privilege.name], caller, out);
      }
    }
  }
  for (std::size_t i = 0; i < out.rules.size(); ++i) {
    out.rules[i].order = i;
  }
  std::ranges::sort(out.rules, {}, [](const RuleTrace& rule) { return std::pair(rule.distance, rule.order); });
  out.by_default = std::ranges::none_of(out.rules, &RuleTrace::privilege_met);
  const bool allowed = out.by_default ? policy::lower(item.default_access) == "allow"
                                      : std::ranges::any_of(out.rules, [](const RuleTrace& rule) {
                                          return rule.privilege_met && rule.identity_met;
                                        });
  out.verdict = allowed ? policy::Verdict::kAllow : policy::Verdict::kDeny;
  if (matcher == Matcher::kCanonical && (request.canonical == nullptr || request.fault != request::Fault::kNone)) {
    out.verdict = policy::Verdict::kReject;
    out.by_default = false;
  }
  return out;
}

}  // namespace msp::authoring
