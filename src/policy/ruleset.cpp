// SPDX-License-Identifier: Apache-2.0
#include "policy/ruleset.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <span>
#include <unordered_map>

#include "policy/fold.h"
#include "policy/holders.h"
#include "policy/rule_query.h"
#include "request/arena.h"
#include "request/canonical_path.h"
#include "request/canonical_query.h"
#include "request/canonical_request.h"

namespace msp::policy {
namespace {

constexpr std::size_t kMaxNotes = 100;

using NameTable = std::unordered_map<std::string_view, std::uint32_t>;

/// name → index of its last bearer: a repeated name means the last one (E.2.4).
template <class Items>
NameTable last_by_name(const Items& items) {
  NameTable table;
  table.reserve(items.size());
  for (std::uint32_t i = 0; i < items.size(); ++i) {
    table[items[i].name] = i;
  }
  return table;
}

void sort_unique(std::vector<std::uint32_t>& values) {
  std::ranges::sort(values);
  const auto rest = std::ranges::unique(values);
  values.erase(rest.begin(), rest.end());
}

std::uint8_t mask_of(const PrivilegeExtension& extension) {
  if (extension.methods.empty()) {
    return Privilege::kAnyMethod;
  }
  unsigned mask = 0;
  for (const std::string& name : extension.methods) {
    if (const auto method = request::parse_method(name)) {
      mask |= method_bit(*method);
    }
  }
  return static_cast<std::uint8_t>(mask);
}

std::shared_ptr<const PlaceRule> place_of(const IdentityExtension& extension) {
  if (!extension.unit && !extension.cgroup && !extension.container) {
    return nullptr;
  }
  return std::make_shared<const PlaceRule>(
      PlaceRule{.unit = extension.unit, .cgroup = extension.cgroup, .container = extension.container});
}

void add_methods(const Privilege& privilege, std::vector<RequiredQuery>& demands) {
  if (privilege.methods == Privilege::kAnyMethod) {
    return;
  }
  RequiredQuery& methods = demands.emplace_back();
  methods.key = kMethodKey;
  for (const request::Method method : request::kMethods) {
    if ((privilege.methods & method_bit(method)) != 0) {
      methods.values.emplace_back(to_string(method));
    }
  }
}

std::vector<RequiredQuery> legacy_demands(const Privilege& privilege) {
  std::vector<RequiredQuery> out;
  out.reserve(privilege.legacy_query.size() + 1);
  for (const auto& [key, value] : privilege.legacy_query) {
    out.push_back({.key = key, .values = {value}});
  }
  add_methods(privilege, out);
  return out;
}

std::vector<RequiredQuery> canonical_demands(const Privilege& privilege) {
  std::vector<RequiredQuery> out = privilege.canonical_query;
  add_methods(privilege, out);
  return out;
}

/// Grants of one kind while their index is collected.
class SpecialCollector {
 public:
  void add(std::uint32_t privilege, std::uint32_t role) { roles_[privilege].push_back(role); }

  /// The privilege with this number in the document has become `index`, with these keys.
  void place(std::uint32_t privilege, std::uint32_t index, const std::string& legacy,
             const std::optional<std::string>& canonical) {
    const auto found = roles_.find(privilege);
    if (found == roles_.end()) {
      return;
    }
    const auto entry = static_cast<std::uint32_t>(grants_.entries.size());
    sort_unique(found->second);
    grants_.entries.push_back({.holders = {.privilege = index, .roles = std::move(found->second), .privileges = {}}});
    legacy_[legacy].push_back(entry);
    if (canonical) {
      canonical_[*canonical].push_back(entry);
    }
  }

  /// `weight(roles)`: what looking through all their callers costs.
  template <class Weight>
  SpecialGrants take(const std::vector<Privilege>& privileges, Weight weight) && {
    const auto privilege_of = [&](std::uint32_t entry) -> const Privilege& {
      return privileges[grants_.entries[entry].holders.privilege];
    };
    const auto index_of = [&](PrefixIndex::Paths& paths, const DemandIndex::Demands& demands) {
      put_together(paths, demands, weight);
      return RuleIndex(std::move(paths), demands);
    };
    grants_.legacy = index_of(legacy_, [&](std::uint32_t entry) { return legacy_demands(privilege_of(entry)); });
    grants_.canonical =
        index_of(canonical_, [&](std::uint32_t entry) { return canonical_demands(privilege_of(entry)); });
    return std::move(grants_);
  }

 private:
  template <class Weight>
  void put_together(PrefixIndex::Paths& paths, const DemandIndex::Demands& demands, Weight weight) {
    std::vector<Alike> groups = alike_rules(paths, demands);
    const auto first = static_cast<std::uint32_t>(grants_.entries.size());
    std::erase_if(groups, [&](const Alike& same) {
      std::vector<Holders> all;
      for (const std::uint32_t entry : same) {
        all.push_back(grants_.entries[entry].holders);
      }
      Holders one = together(all);
      const bool few = std::max(same.size(), weight(one.roles)) <= IdentityIndex::kFew;
      if (!few) {
        grants_.entries.push_back({.holders = std::move(one)});
      }
      return few;
    });
    replace_alike(paths, groups, first);
  }

  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> roles_;
  SpecialGrants grants_;
  PrefixIndex::Paths legacy_;
  PrefixIndex::Paths canonical_;
};

/// `k=v` joined with '&', as the field hands a rule's query to the canonicaliser (F, last paragraph).
std::string as_query(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string text;
  for (const auto& [key, value] : pairs) {
    text += text.empty() ? "" : "&";
    text += key;
    text += '=';
    text += value;
  }
  return text;
}

struct Canonical {
  request::Fault fault = request::Fault::kNone;
  request::CanonicalPath path = {};
  request::CanonicalQuery query = {};
};

Canonical canonicalize(std::string_view path, std::string_view query, request::Arena& arena) {
  Canonical out;
  out.fault = request::canonicalize_path(path, arena, out.path);
  if (out.fault == request::Fault::kNone) {
    out.fault = request::canonicalize_query(query, arena, out.query);
  }
  return out;
}

}  // namespace

class Compiler {
 public:
  explicit Compiler(RuleSet& out) : out_(out) {}

  void note(std::string text) {
    if (out_.notes_.size() < kMaxNotes) {
      out_.notes_.push_back(std::move(text));
    }
  }

  void head(const RuleItem& item, Matching matching) {
    out_.id_ = item.id;
    out_.default_allow_ = lower(item.default_access) == "allow";
    const std::string mode = lower(item.mode);
    if (mode == "disabled" || mode == "audit") {
      out_.mode_ = mode == "audit" ? Mode::kAudit : Mode::kDisabled;
    } else if (mode != "enforce") {
      out_.mode_ = matching == Matching::kOff ? Mode::kDisabled : Mode::kEnforce;
      note("mode \"" + item.mode + "\" is unknown and counts as " + std::string(to_string(out_.mode_)));
    }
  }

  void sections(const RuleSections& rules) {
    if (!rules.privileges || !rules.roles || !rules.identities || !rules.role_assignments) {
      note("a section of the rules is missing, so that all of them are ignored");
      return;
    }
    add_identities(*rules.identities);
    add_roles(*rules.roles, *rules.role_assignments);
    add_privileges(*rules.privileges, *rules.roles);
  }

 private:
  void add_identities(const std::vector<RuleIdentity>& identities) {
    identities_ = last_by_name(identities);
    for (const RuleIdentity& from : identities) {
      out_.names_executables_ = out_.names_executables_ || from.exe_path.has_value();
      out_.identities_.push_back({.name = from.name,
                                  .user = from.user_name,
                                  .group = from.group_name,
                                  .process = from.process_name,
                                  .exe = from.exe_path,
                                  .place = place_of(from.openmsp)});
      out_.names_cgroups_ = out_.names_cgroups_ || out_.identities_.back().place != nullptr;
      out_.names_units_ = out_.names_units_ || from.openmsp.unit.has_value();
    }
  }

  /// Only roles that an assignment names grant anything.
  void add_roles(const std::vector<RuleRole>& roles, const std::vector<RuleAssignment>& assignments) {
    const NameTable by_name = last_by_name(roles);
    for (const RuleAssignment& assignment : assignments) {
      const auto role = by_name.find(assignment.role);
      if (role == by_name.end()) {
        note("an assignment names the role \"" + assignment.role + "\", which does not exist, and is ignored");
        continue;
      }
      const Effect effect{.deny = assignment.openmsp.deny, .dry_run = assignment.openmsp.dry_run};
      const auto [grant, is_new] = grants_.try_emplace({role->second, effect}, out_.roles_.size());
      if (is_new) {
        out_.roles_.push_back({.name = assignment.role, .identities = {}, .effect = effect});
      }
      for (const std::string& name : assignment.identities) {
        if (const auto identity = identities_.find(name); identity != identities_.end()) {
          out_.roles_[grant->second].identities.push_back(identity->second);
        }
      }
    }
    for (RoleGrant& grant : out_.roles_) {
      sort_unique(grant.identities);
    }
  }

  void add_privileges(const std::vector<RulePrivilege>& privileges, const std::vector<RuleRole>& roles) {
    const NameTable by_name = last_by_name(privileges);
    std::vector<std::vector<std::uint32_t>> allows(privileges.size());
    SpecialCollector denies;
    SpecialCollector dry_runs;
    for (const auto& [key, grant] : grants_) {
      const auto& [role, effect] = key;
      for (const std::string& name : roles[role].privileges) {
        const auto privilege = by_name.find(name);
        if (privilege == by_name.end()) {
          continue;
        }
        const auto index = static_cast<std::uint32_t>(grant);
        if (effect == Effect()) {
          allows[privilege->second].push_back(index);
        } else {
          (effect.dry_run ? dry_runs : denies).add(privilege->second, index);
        }
      }
    }
    PrefixIndex::Paths legacy_paths;
    PrefixIndex::Paths canonical_paths;
    for (std::uint32_t i = 0; i < privileges.size(); ++i) {
      if (by_name.at(privileges[i].name) != i) {
        note("the privilege \"" + privileges[i].name + "\" is repeated, the last one counts");
        continue;
      }
      const auto index = static_cast<std::uint32_t>(out_.privileges_.size());
      Privilege privilege{
          .name = privileges[i].name, .legacy_query = folded_query(privileges[i]), .canonical_query = {}, .roles = {}};
      privilege.roles = std::move(allows[i]);
      sort_unique(privilege.roles);
      privilege.methods = mask_of(privileges[i].openmsp);
      out_.names_methods_ = out_.names_methods_ || privilege.methods != Privilege::kAnyMethod;
      const std::string path = lower(privileges[i].path);
      legacy_paths[path].push_back(index);
      const std::optional<std::string> key = canonical_form(path, privilege);
      if (key) {
        canonical_paths[*key].push_back(index);
      }
      denies.place(i, index, path, key);
      dry_runs.place(i, index, path, key);
      out_.privileges_.push_back(std::move(privilege));
    }
    const auto privilege_of = [&](std::uint32_t rule) -> const Privilege& {
      const std::size_t count = out_.privileges_.size();
      return out_.privileges_[rule < count ? rule : out_.alike_[rule - count].privilege];
    };
    const auto index_of = [&](PrefixIndex::Paths& paths, const DemandIndex::Demands& demands) {
      put_together(paths, demands);
      return RuleIndex(std::move(paths), demands);
    };
    out_.legacy_paths_ = index_of(legacy_paths, [&](std::uint32_t i) { return legacy_demands(privilege_of(i)); });
    out_.canonical_paths_ =
        index_of(canonical_paths, [&](std::uint32_t i) { return canonical_demands(privilege_of(i)); });
    const auto weigh = [&](const std::vector<std::uint32_t>& roles) { return weight(roles); };
    out_.denies_ = std::move(denies).take(out_.privileges_, weigh);
    out_.dry_runs_ = std::move(dry_runs).take(out_.privileges_, weigh);
    index_callers();
  }

  /// Privileges that match the same requests, where they or their callers are too many to be looked through.
  void put_together(PrefixIndex::Paths& paths, const DemandIndex::Demands& demands) {
    std::vector<Alike> groups = alike_rules(paths, demands);
    const auto first = static_cast<std::uint32_t>(out_.privileges_.size() + out_.alike_.size());
    std::erase_if(groups, [&](const Alike& same) {
      std::vector<Holders> all;
      for (const std::uint32_t i : same) {
        all.push_back({.privilege = i, .roles = out_.privileges_[i].roles, .privileges = {}});
      }
      Holders one = together(all);
      const bool few = std::max(same.size(), weight(one.roles)) <= IdentityIndex::kFew;
      if (!few) {
        out_.alike_.push_back(std::move(one));
      }
      return few;
    });
    replace_alike(paths, groups, first);
  }

  std::size_t weight(const std::vector<std::uint32_t>& roles) const {
    std::size_t sum = 0;
    for (const std::uint32_t role : roles) {
      sum += out_.roles_[role].identities.size() + 1;  // a role costs a look, too
    }
    return sum;
  }

  bool has_many(const std::vector<std::uint32_t>& roles) const { return weight(roles) > IdentityIndex::kFew; }

  void index_callers() {
    bool any = !out_.alike_.empty();
    for (Privilege& privilege : out_.privileges_) {
      privilege.many_callers = has_many(privilege.roles);
      any = any || privilege.many_callers;
    }
    bool any_special = false;
    for (SpecialGrants* const grants : {&out_.denies_, &out_.dry_runs_}) {
      for (SpecialGrants::Entry& entry : grants->entries) {
        entry.holders.many_callers = has_many(entry.holders.roles);
        any_special = any_special || entry.holders.many_callers;
      }
    }
    if (!any && !any_special) {
      return;
    }
    out_.roles_of_.resize(out_.identities_.size());
    for (std::uint32_t role = 0; role < out_.roles_.size(); ++role) {
      for (const std::uint32_t identity : out_.roles_[role].identities) {
        out_.roles_of_[identity].push_back(role);
      }
    }
    std::vector<std::uint32_t> assigned;
    for (std::uint32_t i = 0; i < out_.identities_.size(); ++i) {
      if (!out_.roles_of_[i].empty()) {
        assigned.push_back(i);
      }
    }
    out_.callers_ = std::make_unique<const IdentityIndex>(out_.identities_, assigned, 0);
    if (any_special) {
      index_denied();
    }
  }

  /// For callers of whom something is not known: it counts as fitting where they may be denied.
  void index_denied() {
    std::vector<std::uint32_t> denied;
    for (const RoleGrant& role : out_.roles_) {
      if (role.effect.deny) {
        denied.insert(denied.end(), role.identities.begin(), role.identities.end());
      }
    }
    sort_unique(denied);
    unsigned fields = 0;
    for (const std::uint32_t i : denied) {
      const IdentityRule& rule = out_.identities_[i];
      fields |=
          (rule.user ? kUnknownUser : 0U) | (rule.group ? kUnknownGroups : 0U) | (rule.place ? kUnknownPlace : 0U);
    }
    out_.deny_fields_ = static_cast<UnknownFields>(fields);
    for (std::size_t number = 1; number < out_.possible_callers_.size(); ++number) {
      if ((number & ~std::size_t{fields}) != 0) {
        continue;
      }
      const auto unknown = static_cast<UnknownFields>(number);
      const auto asks = [&](std::uint32_t i) { return !IdentityIndex::asks_only_for(out_.identities_[i], unknown); };
      std::vector<std::uint32_t> asking;
      std::ranges::copy_if(denied, std::back_inserter(asking), asks);
      out_.possible_callers_[unknown] = std::make_unique<const IdentityIndex>(out_.identities_, asking, unknown);
      std::vector<std::uint32_t> blind;  // of each role, or kNone
      for (const RoleGrant& role : out_.roles_) {
        const auto found = role.effect.deny ? std::ranges::find_if_not(role.identities, asks) : role.identities.end();
        blind.push_back(found == role.identities.end() ? SpecialGrants::kNone : *found);
      }
      for (SpecialGrants* const grants : {&out_.denies_, &out_.dry_runs_}) {
        note_blind(*grants, unknown, blind);
      }
    }
  }

  static void note_blind(SpecialGrants& grants, UnknownFields unknown, const std::vector<std::uint32_t>& blind) {
    for (SpecialGrants::Entry& entry : grants.entries) {
      if (!entry.holders.many_callers) {
        continue;
      }
      entry.blind.resize(8);
      const auto role = std::ranges::find_if(entry.holders.roles,
                                             [&](std::uint32_t each) { return blind[each] != SpecialGrants::kNone; });
      if (role != entry.holders.roles.end()) {
        entry.blind[unknown] = {.role = *role, .identity = blind[*role]};
      }
    }
  }

  /// The key for canonical_paths, and privilege.canonical_query; nothing if there is no canonical form (E.2.7).
  std::optional<std::string> canonical_form(std::string_view path, Privilege& privilege) {
    request::Arena arena;
    const std::string query_text = as_query(privilege.legacy_query);
    const auto [fault, canonical, query] = canonicalize(path, query_text, arena);
    if (fault != request::Fault::kNone) {
      note("the privilege \"" + privilege.name + "\" has no canonical form (" +
           std::string(request::canon_name(fault)) + ") and never matches in canonical matching");
      return std::nullopt;
    }
    std::string key;
    for (const std::string_view segment : canonical.segments) {
      key += segment;
      key += '/';
    }
    for (const request::QueryPair& pair : query.pairs) {
      if (privilege.canonical_query.empty() || privilege.canonical_query.back().key != pair.key) {
        privilege.canonical_query.push_back({.key = std::string(pair.key), .values = {}});
      }
      privilege.canonical_query.back().values.emplace_back(pair.value);
    }
    return key;
  }

  RuleSet& out_;
  NameTable identities_;
  std::map<std::pair<std::uint32_t, Effect>, std::size_t> grants_;  ///< role and effect → index of the grant
};

std::shared_ptr<const RuleSet> RuleSet::compile(const RuleItem& item, Matching matching) {
  if (const std::vector<std::string> refused = refusals(item, matching); !refused.empty()) {
    std::string why;
    for (const std::string& line : refused) {
      why += (why.empty() ? "" : "; ") + line;
    }
    return deny_all(item.id, std::move(why));
  }
  const auto set = std::make_shared<RuleSet>(Passkey());
  Compiler compiler(*set);
  compiler.head(item, matching);
  if (item.rules) {
    compiler.sections(*item.rules);
  }
  return set;
}

request::Fault RuleSet::canonical_fault(const RulePrivilege& privilege) {
  request::Arena arena;
  const std::string path = lower(privilege.path);
  const std::string query = as_query(folded_query(privilege));
  return canonicalize(path, query, arena).fault;
}

// What is compared with the rule's text is the request's path decoded once (E.3): it may hold any byte, a blank as
// well, but neither '//' nor a whole segment '..', with which it is refused before. One at the rule's end may go on as
// "..x".
LegacyFault RuleSet::legacy_fault(const RulePrivilege& privilege) {
  const std::string_view path = privilege.path;
  if (!path.empty() && path.front() != '/' && path != "*") {
    return LegacyFault::kNoSlash;
  }
  if (path.contains('?')) {
    return LegacyFault::kEmbedded;
  }
  if (path.contains("//") || path.contains("/../")) {
    return LegacyFault::kClimbs;
  }
  const auto is_empty = [](const auto& pair) { return pair.first.empty(); };
  return std::ranges::any_of(privilege.query_parameters, is_empty) ? LegacyFault::kEmptyKey : LegacyFault::kNone;
}

std::shared_ptr<const RuleSet> RuleSet::deny_all(std::string id, std::string why) {
  const auto set = std::make_shared<RuleSet>(Passkey());
  set->id_ = std::move(id);
  set->unusable_ = why.empty() ? "no reason was given" : std::move(why);
  return set;
}

std::uint8_t method_bit(request::Method method) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(method));
}

std::vector<std::string> RuleSet::exe_paths() const {
  std::vector<std::string> out;
  for (const IdentityRule& identity : identities_) {
    if (identity.exe) {
      out.push_back(*identity.exe);
    }
  }
  std::ranges::sort(out);
  const auto rest = std::ranges::unique(out);
  out.erase(rest.begin(), rest.end());
  return out;
}

std::string_view to_string(Matching matching) {
  switch (matching) {
    case Matching::kOff:
      return "off";
    case Matching::kShadow:
      return "shadow";
    case Matching::kEnforce:
      return "enforce";
  }
  return "enforce";
}

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::kDisabled:
      return "disabled";
    case Mode::kAudit:
      return "audit";
    case Mode::kEnforce:
      return "enforce";
  }
  return "enforce";
}

}  // namespace msp::policy
