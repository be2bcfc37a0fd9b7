// SPDX-License-Identifier: Apache-2.0
// Whatever a random change of random rules does to random requests, diff finds; and all that it prints is so.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "authoring/diff.h"
#include "authoring/reading.h"
#include "tests/support/random_rules.h"
#include "tests/support/rapidcheck.h"

namespace msp::authoring {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace): the makers of random rules

/// Somebody whom a deny meets only where not all is known of a caller.
void hard_to_tell(Random& random, RuleIdentity& identity) {
  switch (below(random, 3)) {
    case 0:
      identity.user_name = "undefined";
      break;
    case 1:
      identity.group_name = "";
      break;
    default:
      identity.openmsp.unit = "a.service";
      identity.openmsp.cgroup = "/system.slice/b.service";
      break;
  }
}

void change(Random& random, RuleItem& item) {
  RuleSections& rules = *item.rules;
  const auto i = static_cast<std::size_t>(below(random, 4));
  switch (below(random, 9)) {
    case 0:
      rules.role_assignments->erase(rules.role_assignments->begin());
      break;
    case 1:
      rules.role_assignments->push_back(random_assignment(random));
      break;
    case 2:
      (*rules.privileges)[i].path = one_of(random, kPaths);
      break;
    case 3:
      random_query(random, (*rules.privileges)[i]);
      break;
    case 4:
      (*rules.identities)[i] = random_identity(random, "i" + std::to_string(i));
      break;
    case 5:
      item.default_access = item.default_access == "allow" ? "deny" : "allow";
      break;
    case 6:
      rules.role_assignments->push_back(random_assignment(random));
      rules.role_assignments->back().openmsp.deny = true;
      break;
    case 7:
      hard_to_tell(random, (*rules.identities)[i]);
      break;
    default:
      rules.roles->front().privileges.push_back(pick(random, "p", 4));
      break;
  }
}

Caller random_caller(Random& random) {
  Caller out;
  out.user = one_of(random, std::array{"root", "u1", "u2", "u3"});
  for (const char* group : {"g1", "g2"}) {
    if (below(random, 2) == 0) {
      out.groups.emplace_back(group);
    }
  }
  out.exe = one_of(random, std::array{"/x/e", "/y/e", "/x/f", "/z/q"});
  if (below(random, 4) == 0) {
    out.process = one_of(random, std::array{"e", "f"});  // a link's
  }
  out.unit = one_of(random, kUnits);
  if (below(random, 4) == 0) {
    out.unnamed = true;
    out.uid = out.user == "root" ? 0 : 1000;
    out.user.clear();
  }
  out.more_groups = below(random, 4) == 0;
  out.place_unknown = below(random, 4) == 0;
  return out;
}

std::string random_target(Random& random) {
  static constexpr std::array kAsked{"/a", "/a/", "/a/b", "/ab", "/", "/a/b/c", "/a%20b", "/a%2520b", "/a;m/b", "/abc"};
  static constexpr std::array kQueries{"", "?k=v", "?k=w", "?k=v&j=1", "?j=1&k=w", "?k=w&k=v", "?k=v%26k%3Dw", "?k=x"};
  return one_of(random, kAsked) + one_of(random, kQueries);
}

RuleSource source_of(const RuleItem& item, Service service) {
  RuleSource out;
  out.single = SourceItem{.item = item, .pointer = {}};
  out.assign(service);
  return out;
}

std::string written(const RuleItem& item) {
  json::Writer writer;
  write_rule_item(writer, item);
  return std::move(writer).take();
}

bool passes(const policy::Snapshot& rules, const Caller& caller, Service service, std::string_view method,
            std::string_view target) {
  Asked asked;
  asked.ask(service, method, target);
  return judge(make_caller(caller), asked, rules).outcome != Outcome::kDeny;
}

TEST(DiffProperty, FindsWhatARandomChangeDoesAndPrintsOnlyWhatIsSo) {
  int changed = 0;
  const auto asked = [&changed] { return changed > 100; };
  EXPECT_TRUE(check_until("diff is neither blind nor lying", asked, [&](std::uint32_t salt) {
    Random random(*rc::gen::arbitrary<std::uint32_t>() + salt);
    const Service service = below(random, 4) == 0 ? Service::kWireServer : Service::kImds;
    const auto matching = below(random, 2) == 0 ? policy::Matching::kOff : policy::Matching::kEnforce;
    RuleItem before = random_item(random);
    if (below(random, 3) == 0) {
      hard_to_tell(random, before.rules->identities->front());
    }
    RuleItem after = before;
    change(random, after);
    const RuleSource a = source_of(before, service);
    const RuleSource b = source_of(after, service);
    const auto report = diff(a, b, {.matching = matching});
    RC_ASSERT(report.ok());
    const policy::Snapshot rules_a = a.compile(matching);
    const policy::Snapshot rules_b = b.compile(matching);
    for (const Difference& difference : report->differences) {
      const Witness& w = difference.witness;
      RC_ASSERT(passes(rules_a, w.caller, w.service, w.method, w.target) == !difference.opens);
      RC_ASSERT(passes(rules_b, w.caller, w.service, w.method, w.target) == difference.opens);
    }
    for (int i = 0; i < 300; ++i) {
      const Caller caller = random_caller(random);
      const std::string target = random_target(random);
      const char* const method = below(random, 2) == 0 ? "GET" : "POST";
      const bool at_a = passes(rules_a, caller, service, method, target);
      if (at_a != passes(rules_b, caller, service, method, target)) {
        ++changed;
        const bool found =
            std::ranges::any_of(report->differences, [&](const Difference& d) { return d.opens == !at_a; });
        if (!found) {
          RC_LOG() << method << " " << target << " by " << caller.user << " " << caller.exe << " unit " << caller.unit
                   << (caller.unnamed ? " without a name" : "") << (caller.more_groups ? " more groups" : "")
                   << (caller.place_unknown ? " cgroup gone" : "") << (at_a ? " closes" : " opens") << " at "
                   << to_string(service) << '\n'
                   << written(before) << '\n'
                   << written(after) << '\n';
        }
        RC_ASSERT(found);
      }
    }
  }));
}

/// Whoever has what the identity asks for, and nothing else. Nothing: such a caller cannot be, or not be told.
std::optional<Caller> one_who_is(const RuleIdentity& identity, Service service) {
  const IdentityExtension& place = identity.openmsp;
  const std::string stranger = service == Service::kImds ? "stranger" : "root";
  Caller out;
  out.user = identity.user_name.value_or(stranger);
  if (out.user == "undefined" || identity.group_name == "" || (place.unit && place.cgroup) ||
      (service != Service::kImds && out.user != "root")) {
    return std::nullopt;
  }
  if (identity.group_name) {
    out.groups = {*identity.group_name};
  }
  out.exe = identity.exe_path.value_or("");
  out.process = identity.process_name.value_or(identity.exe_path ? "link" : "");
  out.unit = place.unit.value_or("");
  return out;
}

std::string written_target(const RulePrivilege& privilege) {
  std::string out = privilege.path.starts_with('/') ? "" : "/";
  const auto add = [&](const std::string& text) {
    for (const char c : text) {
      out += c == '%' ? "%25" : c == '&' ? "%26" : c == '=' ? "%3D" : c == ';' ? "%3B" : std::string(1, c);
    }
  };
  add(privilege.path);
  char separator = '?';
  for (const auto& [key, value] : privilege.query_parameters) {
    out += separator;
    add(key);
    out += '=';
    add(value);
    separator = '&';
  }
  return out;
}

/// Whether it is the privilege's own request: some paths of rules nobody can ask for in this reading.
bool asks_for(const RulePrivilege& privilege, Service service, std::string_view method, std::string_view target,
              policy::Matching matching) {
  Asked asked;
  asked.ask(service, method, target);
  const Matcher matcher = matching == policy::Matching::kEnforce ? Matcher::kCanonical : Matcher::kLegacy;
  return std::ranges::all_of(Reading(matcher, asked.view()).compare(privilege), &Check::met);
}

bool grants(const RuleItem& item, const RulePrivilege& privilege, const RuleIdentity& identity) {
  return std::ranges::any_of(*item.rules->role_assignments, [&](const RuleAssignment& assignment) {
    const auto role = std::ranges::find(*item.rules->roles, assignment.role, &RuleRole::name);
    return !assignment.openmsp.deny && role != item.rules->roles->end() &&
           std::ranges::find(role->privileges, privilege.name) != role->privileges.end() &&
           std::ranges::find(assignment.identities, identity.name) != assignment.identities.end();
  });
}

template <class Visit>
void each_pair(const RuleItem& item, Service service, Visit visit) {
  for (const RulePrivilege& privilege : *item.rules->privileges) {
    for (const RuleIdentity& identity : *item.rules->identities) {
      const std::optional<Caller> who = one_who_is(identity, service);
      if (who && grants(item, privilege, identity)) {
        visit(privilege, identity, *who);
      }
    }
  }
}

TEST(DiffProperty, NamesEachPairWhoseOwnRequestTurns) {
  int turned = 0;
  const auto asked = [&turned] { return turned > 10; };
  EXPECT_TRUE(check_until("no pair is hidden by another", asked, [&](std::uint32_t salt) {
    Random random(*rc::gen::arbitrary<std::uint32_t>() + salt);
    const Service service = below(random, 4) == 0 ? Service::kWireServer : Service::kImds;
    const auto matching = below(random, 2) == 0 ? policy::Matching::kOff : policy::Matching::kEnforce;
    const RuleItem before = random_item(random);
    RuleItem after = before;
    for (int changes = 1 + below(random, 3); changes > 0; --changes) {
      if (!after.rules->role_assignments->empty()) {
        change(random, after);
      }
    }
    const RuleSource a = source_of(before, service);
    const RuleSource b = source_of(after, service);
    const auto report = diff(a, b, {.matching = matching});
    RC_ASSERT(report.ok());
    const policy::Snapshot rules_a = a.compile(matching);
    const policy::Snapshot rules_b = b.compile(matching);
    for (const RuleItem* const side : std::array<const RuleItem*, 2>{&before, &after}) {
      if (!policy::RuleSet::refusals(*side, matching).empty()) {
        continue;  // it grants nobody anything
      }
      each_pair(*side, service, [&](const RulePrivilege& privilege, const RuleIdentity& identity, const Caller& who) {
        const std::string target = written_target(privilege);
        for (const char* const method : {"GET", "POST"}) {
          const bool at_a = passes(rules_a, who, service, method, target);
          if (at_a == passes(rules_b, who, service, method, target) ||
              !asks_for(privilege, service, method, target, matching)) {
            continue;
          }
          ++turned;
          const bool told = std::ranges::any_of(report->differences, [&](const Difference& d) {
            return d.opens == !at_a && d.privilege == privilege.name && d.identity == identity.name;
          });
          if (!told) {
            RC_LOG() << privilege.name << " for " << identity.name << (at_a ? " closes" : " opens") << " at "
                     << to_string(service) << ": " << method << " " << target << '\n'
                     << written(before) << '\n'
                     << written(after) << '\n';
          }
          RC_ASSERT(told);
        }
      });
    }
  }));
}

TEST(DiffProperty, OrderAndNamesMakeNoDifference) {
  EXPECT_TRUE(rc::check("a permuted and renamed set is the same", [] {
    Random random(*rc::gen::arbitrary<std::uint32_t>());
    const RuleItem before = random_item(random);
    RuleItem after = before;
    const auto rename = [](std::string& name) { name += "-new"; };
    for (RulePrivilege& privilege : *after.rules->privileges) {
      rename(privilege.name);
    }
    for (RuleRole& role : *after.rules->roles) {
      rename(role.name);
      std::ranges::for_each(role.privileges, rename);
    }
    for (RuleIdentity& identity : *after.rules->identities) {
      rename(identity.name);
    }
    for (RuleAssignment& assignment : *after.rules->role_assignments) {
      rename(assignment.role);
      std::ranges::for_each(assignment.identities, rename);
    }
    std::ranges::shuffle(*after.rules->privileges, random);
    std::ranges::shuffle(*after.rules->roles, random);
    std::ranges::shuffle(*after.rules->identities, random);
    std::ranges::shuffle(*after.rules->role_assignments, random);
    const auto report = diff(source_of(before, Service::kImds), source_of(after, Service::kImds), {});
    RC_ASSERT(report.ok());
    RC_ASSERT(report->same());
    RC_ASSERT(report->decisions == 0U);
  }));
}

}  // namespace
}  // namespace msp::authoring
