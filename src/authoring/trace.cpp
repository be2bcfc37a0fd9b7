// SPDX-License-Identifier: Apache-2.0
#include "authoring/trace.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "authoring/identity_checks.h"

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
  bool deny = false;
  bool dry_run = false;

  auto operator<=>(const Holder&) const = default;
};

/// Name of a privilege → who holds it, in the order of the assignments.
std::map<std::string_view, std::vector<Holder>> holders_of(const std::vector<RuleRole>& all_roles,
                                                           const std::vector<RuleIdentity>& all_identities,
                                                           const std::vector<RuleAssignment>& assignments) {
  const auto roles = by_name(all_roles);
  const auto identities = by_name(all_identities);
  std::map<std::string_view, std::vector<Holder>> out;
  std::set<std::pair<std::string_view, Holder>> known;
  for (const RuleAssignment& assignment : assignments) {
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
        const Holder holder{.role = role->first,
                            .identity = identity->second,
                            .deny = assignment.openmsp.deny,
                            .dry_run = assignment.openmsp.dry_run};
        if (known.emplace(privilege, holder).second) {
          out[privilege].push_back(holder);
        }
      }
    }
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
    rule.deny = holder.deny;
    rule.dry_run = holder.dry_run;
    const std::vector<Check> fields = compare_identity(*holder.identity, caller, holder.deny);
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
    auto holders = holders_of(*item.rules->roles, *item.rules->identities, *item.rules->role_assignments);
    for (const RulePrivilege& privilege : *item.rules->privileges) {
      if (last.at(privilege.name) == &privilege) {
        add_rules(privilege, reading.compare(privilege), holders[privilege.name], caller, out);
      }
    }
  }
  for (std::size_t i = 0; i < out.rules.size(); ++i) {
    out.rules[i].order = i;
  }
  const auto decides = [](const RuleTrace& rule) { return rule.matches() && !rule.dry_run; };
  std::ranges::sort(out.rules, {}, [&](const RuleTrace& rule) {
    return std::tuple(!(rule.deny && decides(rule)), rule.distance, rule.deny || rule.dry_run, rule.order);
  });
  out.by_default = std::ranges::none_of(out.rules, &RuleTrace::privilege_met);
  out.by_deny = std::ranges::any_of(out.rules, [&](const RuleTrace& rule) { return rule.deny && decides(rule); });
  const bool named = std::ranges::any_of(out.rules, [&](const RuleTrace& rule) { return !rule.deny && decides(rule); });
  const bool allowed = out.by_default ? policy::lower(item.default_access) == "allow" : named && !out.by_deny;
  out.verdict = allowed ? policy::Verdict::kAllow : policy::Verdict::kDeny;
  if (matcher == Matcher::kCanonical && (request.canonical == nullptr || request.fault != request::Fault::kNone)) {
    out.verdict = policy::Verdict::kReject;
    out.by_default = out.by_deny = false;
  }
  return out;
}

}  // namespace msp::authoring
