// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "authoring/asked.h"
#include "authoring/caller.h"
#include "authoring/trace.h"
#include "tests/support/random_rules.h"

namespace msp::authoring {
namespace {

using Row = std::tuple<bool, std::size_t, bool, std::size_t, std::string, std::string, bool, bool>;

identity::ConnectionIdentity caller(std::string user, std::vector<std::string> groups, std::string exe) {
  Caller out;
  out.user = std::move(user);
  out.groups = std::move(groups);
  out.exe = std::move(exe);
  return make_caller(out);
}

template <class T>
const T* last_named(const std::vector<T>& items, std::string_view name) {
  const auto found = std::ranges::find(items.rbegin(), items.rend(), name, &T::name);
  return found == items.rend() ? nullptr : &*found;
}

/// Each privilege with each of its holders, put together one by one and sorted, as the walk must find them.
/// `distances`: of each privilege alone, and what an identity lacks, as the walk itself says them.
std::vector<std::pair<std::string, Row>> naive(const RuleSections& rules, const std::vector<RuleTrace>& walked) {
  std::vector<std::pair<std::string, Row>> out;
  std::size_t order = 0;
  for (const RulePrivilege& privilege : *rules.privileges) {
    if (last_named(*rules.privileges, privilege.name) != &privilege) {
      continue;
    }
    std::set<std::tuple<std::string, std::string, bool, bool>> known;
    const auto add = [&](const std::string& role, const std::string& identity, bool deny, bool dry_run) {
      const auto same = std::ranges::find_if(walked, [&](const RuleTrace& one) {
        return std::tie(one.privilege, one.role, one.identity, one.deny, one.dry_run) ==
               std::tie(privilege.name, role, identity, deny, dry_run);
      });
      if (same != walked.end() && known.emplace(role, identity, deny, dry_run).second) {
        out.emplace_back(privilege.name, Row{!(deny && !dry_run && same->matches()), same->distance, deny || dry_run,
                                             order++, role, identity, deny, dry_run});
      } else if (same == walked.end()) {
        ADD_FAILURE() << privilege.name << " for " << identity << " in " << role << " is missing";
      }
    };
    for (const RuleAssignment& assignment : *rules.role_assignments) {
      const RuleRole* const role = last_named(*rules.roles, assignment.role);
      if (role == nullptr || std::ranges::find(role->privileges, privilege.name) == role->privileges.end()) {
        continue;
      }
      for (const std::string& identity : assignment.identities) {
        if (last_named(*rules.identities, identity) != nullptr) {
          add(role->name, identity, assignment.openmsp.deny, assignment.openmsp.dry_run);
        }
      }
    }
    if (known.empty()) {
      add("", "", false, false);
    }
  }
  std::ranges::sort(out, {}, &std::pair<std::string, Row>::second);
  return out;
}

TEST(RuleWalk, GoesThroughAllThatANaiveProductHoldsInItsOrder) {
  const identity::ConnectionIdentity who = caller("u1", {"g1"}, "/x/e");
  std::size_t several = 0;
  for (std::uint32_t seed = 0; seed < 400; ++seed) {
    test::Random random(seed);
    RuleItem item = test::random_item(random);
    ASSERT_TRUE(item.rules->role_assignments);
    for (RuleAssignment& assignment : *item.rules->role_assignments) {
      assignment.openmsp.deny = assignment.openmsp.deny || test::below(random, 3) == 0;
      assignment.openmsp.dry_run = test::below(random, 3) == 0;
    }
    Asked asked;
    asked.ask(Service::kImds, "GET", "/a/b?k=v");
    for (const Matcher matcher : {Matcher::kCanonical, Matcher::kLegacy}) {
      RuleWalk walk(item, who, asked.view(), matcher);
      std::vector<RuleTrace> walked;
      while (walk.next()) {
        walked.push_back(walk.rule());
        EXPECT_EQ(walk.is_met_dry_run(), walked.back().dry_run && walked.back().matches());
      }
      EXPECT_EQ(walk.count(), walked.size());
      const auto expected = naive(*item.rules, walked);
      ASSERT_EQ(expected.size(), walked.size()) << seed;
      for (std::size_t i = 0; i < walked.size(); ++i) {
        EXPECT_EQ(std::tie(expected[i].first, std::get<4>(expected[i].second), std::get<5>(expected[i].second)),
                  std::tie(walked[i].privilege, walked[i].role, walked[i].identity))
            << "seed " << seed << ", rule " << i;
      }
      several += walked.size() > 3 ? 1 : 0;
    }
  }
  EXPECT_GT(several, 100U);
}

/// One role of `size` privileges, held by as many identities.
RuleItem product(std::size_t size) {
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "x", .rules = RuleSections()};
  item.rules->privileges.emplace();
  item.rules->identities.emplace();
  item.rules->roles.emplace(1).front().name = "r";
  item.rules->role_assignments.emplace(1).front().role = "r";
  for (std::size_t i = 0; i < size; ++i) {
    const std::string number = std::to_string(i);
    RulePrivilege& privilege = item.rules->privileges->emplace_back();
    privilege.name = "p" + number;
    privilege.path = "/metadata/x" + number;
    RuleIdentity& identity = item.rules->identities->emplace_back();
    identity.name = identity.user_name.emplace("u" + number);
    item.rules->roles->front().privileges.push_back(privilege.name);
    item.rules->role_assignments->front().identities.push_back(identity.name);
  }
  return item;
}

TEST(RuleWalk, RulesOfPrivilegesTimesIdentitiesAreCountedNotKept) {
  RuleItem item = product(2000);
  Asked asked;
  asked.ask(Service::kImds, "GET", "/metadata/x7");
  const identity::ConnectionIdentity who = caller("u8", {}, "");
  // Put together they would be gigabytes.
  Trace trace = trace_rules(item, who, asked.view(), Matcher::kCanonical);
  EXPECT_EQ(trace.count, 4'000'000U);
  ASSERT_EQ(trace.rules.size(), Trace::kMostRules);
  EXPECT_EQ(trace.rules[0].privilege, "p7");
  EXPECT_EQ(trace.rules[0].identity, "u8");
  EXPECT_EQ(trace.rules[1].identity, "u0");
  EXPECT_EQ(trace.verdict, policy::Verdict::kAllow);
  // More dry runs that match than are kept hide no miss.
  for (RuleIdentity& identity : *item.rules->identities) {
    identity.user_name = "u8";
  }
  item.rules->identities->back().user_name = "bob";
  item.rules->role_assignments->front().openmsp.dry_run = true;
  item.rules->role_assignments->push_back({.role = "r", .identities = {item.rules->identities->back().name}});
  trace = trace_rules(item, who, asked.view(), Matcher::kCanonical);
  EXPECT_TRUE(trace.rules.back().matches());
  ASSERT_TRUE(trace.nearest_miss);
  EXPECT_EQ(trace.nearest_miss->identity, "u1999");
  EXPECT_EQ(trace.verdict, policy::Verdict::kDeny);
}

}  // namespace
}  // namespace msp::authoring
