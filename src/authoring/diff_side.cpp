// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff_side.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

namespace msp::authoring {
namespace {

void tidy(std::vector<std::uint32_t>& list) {
  std::ranges::sort(list);
  const auto rest = std::ranges::unique(list);
  list.erase(rest.begin(), rest.end());
}

/// Fields with their lengths, so that no two identities or privileges read alike.
void append(std::string& out, std::string_view text) { out += std::to_string(text.size()) + ":" + std::string(text); }

void append(std::string& out, const std::optional<std::string>& text) {
  out += text ? 'y' : 'n';
  append(out, std::string_view(text ? *text : ""));
}

std::uint64_t mixed(std::uint64_t seed, std::uint64_t value) {
  seed ^= value + 0x9E3779B97F4A7C15U + (seed << 6) + (seed >> 2);
  return (seed ^ (seed >> 29)) * 0xBF58476D1CE4E5B9U;
}

std::uint64_t hash(const Grants& grants) {
  std::uint64_t out = 1;
  for (const std::uint32_t caller : grants.allow) {
    out = mixed(out, caller);
  }
  out = mixed(out, UINT64_MAX);
  for (const std::uint32_t caller : grants.deny) {
    out = mixed(out, caller);
  }
  return out;
}

std::uint64_t hash(const RulePrivilege& privilege, const PrivilegeForms& forms) {
  std::string text;
  for (const std::optional<Form>* form : {&forms.legacy, &forms.canonical}) {
    text += *form ? 'y' : 'n';
    if (*form) {
      append(text, std::string_view((*form)->path));
      for (const auto& [key, value] : (*form)->query) {
        append(text, std::string_view(key));
        append(text, std::string_view(value));
      }
      text += '.';
    }
  }
  for (const policy::RequiredQuery& need : forms.canonical_query) {
    for (const std::string& value : need.values) {
      append(text, std::string_view(value));
    }
  }
  std::vector<std::string> methods = privilege.openmsp.methods;
  std::ranges::sort(methods);
  for (const std::string& method : methods) {
    append(text, std::string_view(method));
  }
  return std::hash<std::string>{}(text);
}

std::vector<policy::RequiredQuery> demands_of(const Form& form) {
  std::vector<policy::RequiredQuery> out;
  for (const auto& [key, value] : form.query) {
    out.push_back({.key = key, .values = {value}});
  }
  return out;
}

/// Identities by role whom assignments of this effect name, without dry runs: those have no effect.
std::vector<Indexes> assigned(const WholeRules& rules, const RuleIndex& index, bool deny) {
  std::vector<Indexes> out(rules.roles.size());
  for (std::uint32_t i = 0; i < rules.role_assignments.size(); ++i) {
    const AssignmentExtension& effect = rules.role_assignments[i].openmsp;
    const std::uint32_t role = index.role_of_assignment(i);
    if (role != RuleIndex::kNone && !effect.dry_run && effect.deny == deny) {
      const Indexes& named = index.callers_of_assignment(i);
      out[role].insert(out[role].end(), named.begin(), named.end());
    }
  }
  return out;
}

/// As a rule wants it: legacy matching looks at the first value of a key alone.
bool has_first(const QueryPairs& query, const std::pair<std::string, std::string>& wanted) {
  const auto found = std::ranges::find(query, wanted.first, &QueryPairs::value_type::first);
  return found != query.end() && found->second == wanted.second;
}

bool has_any(const QueryPairs& query, const policy::RequiredQuery& wanted) {
  return std::ranges::any_of(query, [&](const auto& pair) {
    return pair.first == wanted.key && std::ranges::find(wanted.values, pair.second) != wanted.values.end();
  });
}

}  // namespace

std::string canonical_key(const Form& form) { return form.path == "/" ? std::string() : form.path.substr(1) + "/"; }

std::uint32_t CallerTable::add(const RuleIdentity& identity) {
  std::string text;
  for (const std::optional<std::string>* field :
       {&identity.user_name, &identity.group_name, &identity.exe_path, &identity.process_name, &identity.openmsp.unit,
        &identity.openmsp.cgroup, &identity.openmsp.container}) {
    append(text, *field);
  }
  const auto [found, is_new] = by_meaning_.try_emplace(std::move(text), identities_.size());
  if (is_new) {
    identities_.push_back(&identity);
  }
  return found->second;
}

DiffSide::DiffSide(const RuleItem* item, CallerTable& callers) {
  if (item == nullptr) {
    return;
  }
  if (const std::optional<WholeRules> rules = whole_rules(*item)) {
    add_privileges(*rules, callers);
  }
}

void DiffSide::add_privileges(const WholeRules& rules, CallerTable& callers) {
  const RuleIndex index(rules);
  for (const RuleIdentity& identity : rules.identities) {
    identities_.push_back(&identity);
    caller_of_.push_back(callers.add(identity));
  }
  const std::vector<Indexes> allow = assigned(rules, index, false);
  const std::vector<Indexes> deny = assigned(rules, index, true);
  std::map<Indexes, std::uint32_t> of_roles;
  std::vector<std::uint64_t> grant_hash;
  policy::PrefixIndex::Paths legacy;
  policy::PrefixIndex::Paths canonical;
  for (const std::uint32_t i : index.privileges()) {
    const auto at = static_cast<std::uint32_t>(privileges_.size());
    privileges_.push_back(&rules.privileges[i]);
    forms_.push_back(forms_of(*privileges_.back()));
    const auto [known, is_new] = of_roles.try_emplace(index.roles_of(i), grants_.size());
    if (is_new) {
      grant_hash.push_back(hash(grants_[add_grants(index.roles_of(i), allow, deny)]));
    }
    grant_of_.push_back(known->second);
    meaning_.push_back(mixed(hash(*privileges_.back(), forms_.back()), grant_hash[known->second]));
    if (const std::optional<Form>& form = forms_.back().legacy) {
      legacy[form->path].push_back(at);
    }
    if (const std::optional<Form>& form = forms_.back().canonical) {
      canonical[canonical_key(*form)].push_back(at);
    }
  }
  legacy_ = policy::RuleIndex(std::move(legacy), [&](std::uint32_t i) { return demands_of(*forms_[i].legacy); });
  canonical_ = policy::RuleIndex(std::move(canonical), [&](std::uint32_t i) { return forms_[i].canonical_query; });
}

std::uint32_t DiffSide::add_grants(const Indexes& roles, const std::vector<Indexes>& allow,
                                   const std::vector<Indexes>& deny) {
  Grants& all = grants_.emplace_back();
  for (const std::uint32_t role : roles) {
    all.allowed_names.insert(all.allowed_names.end(), allow[role].begin(), allow[role].end());
    std::ranges::transform(deny[role], std::back_inserter(all.deny), [&](std::uint32_t i) { return caller_of_[i]; });
  }
  tidy(all.allowed_names);
  std::ranges::transform(all.allowed_names, std::back_inserter(all.allow),
                         [&](std::uint32_t i) { return caller_of_[i]; });
  tidy(all.allow);
  tidy(all.deny);
  return static_cast<std::uint32_t>(grants_.size() - 1);
}

bool DiffSide::meets(std::uint32_t privilege, const ReadRequest& request) const {
  const std::vector<std::string>& methods = privileges_[privilege]->openmsp.methods;
  if (!methods.empty() && std::ranges::find(methods, request.method) == methods.end()) {
    return false;
  }
  const QueryPairs& has = request.form.query;
  const PrivilegeForms& wanted = forms_[privilege];
  if (request.canonical) {
    return wanted.canonical && canonical_covers(*wanted.canonical, request.form) &&
           std::ranges::all_of(wanted.canonical_query, [&](const auto& need) { return has_any(has, need); });
  }
  return wanted.legacy && legacy_covers(*wanted.legacy, request.form) &&
         std::ranges::all_of(wanted.legacy->query, [&](const auto& need) { return has_first(has, need); });
}

std::vector<std::uint32_t> DiffSide::met(const std::vector<std::uint32_t>& near, const ReadRequest& request) const {
  std::vector<std::uint32_t> out;
  std::ranges::copy_if(near, std::back_inserter(out), [&](std::uint32_t i) { return meets(i, request); });
  return out;
}

std::vector<std::uint32_t> DiffSide::unlike(const std::vector<std::uint32_t>& privileges,
                                            const std::vector<std::uint64_t>& others) const {
  std::vector<std::uint32_t> out;
  std::ranges::copy_if(privileges, std::back_inserter(out),
                       [&](std::uint32_t i) { return !std::ranges::binary_search(others, meaning_[i]); });
  return out;
}

std::vector<std::uint32_t> DiffSide::near(const ReadRequest& request) const {
  const Form& form = request.form;
  std::vector<std::uint32_t> out;
  const auto collect = [&](std::uint32_t privilege) {
    out.push_back(privilege);
    return false;
  };
  const auto any_pair = [&](auto f) {
    return std::ranges::any_of(form.query, [&](const auto& pair) { return f(pair.first, pair.second); });
  };
  if (request.canonical) {
    canonical_.any(canonical_key(form), any_pair, collect);
  } else {
    legacy_.any(form.path, any_pair, collect);
  }
  tidy(out);
  return out;
}

std::vector<std::uint64_t> DiffSide::meaning(const std::vector<std::uint32_t>& privileges) const {
  std::vector<std::uint64_t> out;
  out.reserve(privileges.size());
  for (const std::uint32_t i : privileges) {
    out.push_back(meaning_[i]);
  }
  std::ranges::sort(out);
  const auto rest = std::ranges::unique(out);
  out.erase(rest.begin(), rest.end());
  return out;
}

}  // namespace msp::authoring
