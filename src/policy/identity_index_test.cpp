// SPDX-License-Identifier: Apache-2.0
#include "policy/identity_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

#include "policy/engine.h"
#include "policy/identity_match.h"
#include "policy/ruleset.h"
#include "tests/support/policy_request.h"

namespace msp::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::shared_ptr<const PlaceRule> in_unit(std::string unit) {
  return std::make_shared<const PlaceRule>(PlaceRule{.unit = std::move(unit), .cgroup = {}, .container = {}});
}

/// A thousand of each kind, then one that asks for nothing.
std::vector<IdentityRule> crowd() {
  std::vector<IdentityRule> all;
  for (int i = 0; i < 1000; ++i) {
    const std::string n = std::to_string(i);
    all.push_back({.name = {}, .user = "u" + n, .group = "g" + n, .process = "p" + n, .exe = {}});
    all.push_back({.name = {}, .user = {}, .group = "g" + n, .process = "p" + n, .exe = {}});
    all.push_back({.name = {}, .user = {}, .group = "g" + n, .process = {}, .exe = {}});
    all.push_back({.name = {}, .user = {}, .group = {}, .process = {}, .exe = {}, .place = in_unit(n + ".service")});
  }
  all.push_back({.name = {}, .user = {}, .group = {}, .process = {}, .exe = {}});
  return all;
}

std::vector<std::uint32_t> numbers(std::size_t count) {
  std::vector<std::uint32_t> out(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    out[i] = i;
  }
  return out;
}

std::set<std::uint32_t> candidates(const identity::ConnectionIdentity& caller) {
  const std::vector<IdentityRule> all = crowd();
  const IdentityIndex index(numbers(all.size()), all);
  std::set<std::uint32_t> out;
  index.each_candidate(caller, [&](std::uint32_t found) { EXPECT_TRUE(out.insert(found).second) << "twice"; });
  return out;
}

TEST(IdentityIndex, WhoIsNobodyInParticularFindsOnlyWhatAsksForNothing) {
  EXPECT_THAT(candidates({}), ElementsAre(4000));
}

TEST(IdentityIndex, EachFieldFindsItsOwn) {
  identity::ConnectionIdentity caller;
  caller.user_name = "u3";
  EXPECT_THAT(candidates(caller), ElementsAre(12, 4000));
  caller.process_name = "p5";
  EXPECT_THAT(candidates(caller), ElementsAre(12, 21, 4000));
  caller.group_names = {"g7", "x", "g9"};
  EXPECT_THAT(candidates(caller), ElementsAre(12, 21, 30, 38, 4000));
  caller.cgroup = std::make_shared<const identity::CgroupPlace>(identity::place_in("/system.slice/11.service"));
  EXPECT_THAT(candidates(caller), ElementsAre(12, 21, 30, 38, 47, 4000));
}

TEST(IdentityIndex, AnExecutableThatIsAskedForBesideAUnitIsNotLost) {
  const std::vector<IdentityRule> all = {
      {.name = {}, .user = {}, .group = {}, .process = {}, .exe = "/a", .place = in_unit("a.service")}};
  const IdentityIndex index(numbers(1), all);
  std::set<std::uint32_t> out;
  index.each_candidate({}, [&](std::uint32_t found) { out.insert(found); });
  EXPECT_THAT(out, SizeIs(1));
}

RuleItem item_with(std::vector<RuleIdentity> identities, bool deny) {
  RuleItem item{.default_access = "allow", .mode = "enforce", .id = "x", .rules = RuleSections()};
  item.rules->privileges = {{{.name = "p", .path = "/", .query_parameters = {}}}};
  item.rules->roles = {{{.name = "r", .privileges = {"p"}}}};
  RuleAssignment assignment{.role = "r", .identities = {}};
  assignment.openmsp.deny = deny;
  for (const RuleIdentity& identity : identities) {
    assignment.identities.push_back(identity.name);
  }
  item.rules->identities = std::move(identities);
  item.rules->role_assignments = {{std::move(assignment)}};
  return item;
}

TEST(IdentityIndex, IsMadeForRolesOfManyAlone) {
  std::vector<RuleIdentity> identities(IdentityIndex::kFew);
  for (std::size_t i = 0; i < identities.size(); ++i) {
    identities[i].name = std::to_string(i);
  }
  const auto few = RuleSet::compile(item_with(identities, false), Matching::kEnforce);
  EXPECT_EQ(few->roles().at(0).index, nullptr);
  identities.emplace_back().name = "one more";
  const auto many = RuleSet::compile(item_with(identities, false), Matching::kEnforce);
  EXPECT_NE(many->roles().at(0).index, nullptr);
}

/// Few words, so that fields often fit.
class RandomCallers {
 public:
  explicit RandomCallers(std::uint32_t seed) : random_(seed) {}

  RuleIdentity identity(std::size_t number) {
    RuleIdentity out;
    out.name = std::to_string(number);
    out.user_name = maybe();
    out.group_name = maybe();
    out.process_name = maybe();
    out.exe_path = maybe();
    out.openmsp.unit = maybe();
    return out;
  }
  identity::ConnectionIdentity caller() {
    identity::ConnectionIdentity out;
    out.known = true;
    out.user_name = maybe().value_or("");
    out.process_name = word();
    out.group_names = {word(), word()};
    out.groups.assign(below(8) == 0 ? 3 : 2, 0);
    out.exe_rule_paths = {word()};
    if (below(3) != 0) {
      out.cgroup = std::make_shared<const identity::CgroupPlace>(identity::place_in("/system.slice/" + word()));
    }
    return out;
  }

 private:
  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  std::string word() { return std::string(1, static_cast<char>('a' + below(5))) + ".service"; }
  std::optional<std::string> maybe() { return below(2) == 0 ? std::nullopt : std::optional(word()); }

  std::mt19937 random_;
};

struct Expected {
  std::string identity;
  bool matched = false;
};

/// The first identity that is the caller, else the last of the nearest.
Expected looked_through(const RuleSet& rules, const identity::ConnectionIdentity& caller) {
  Expected out;
  int nearest = -1;
  for (const IdentityRule& rule : rules.identities()) {
    const IdentityMatch match = match_identity(rule, caller);
    if (match.matched) {
      return {.identity = rule.name, .matched = true};
    }
    if (match.fields_met >= nearest) {
      nearest = match.fields_met;
      out.identity = rule.name;
    }
  }
  return out;
}

TEST(IdentityIndex, ADecisionNamesTheSameIdentityAsLookingThroughAll) {
  RandomCallers random(20261127);
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  int permits = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<RuleIdentity> identities;
    for (std::size_t i = 0; i < IdentityIndex::kFew + 8; ++i) {
      identities.push_back(random.identity(i));
    }
    Snapshot snapshot;
    snapshot.rules.fill(RuleSet::compile(item_with(identities, false), Matching::kEnforce));
    const identity::ConnectionIdentity caller = random.caller();
    const Expected expected = looked_through(*snapshot.rules[0], caller);
    const Decision decision = decide(caller, request.view(), snapshot);
    const auto* permit = std::get_if<Permit>(&decision);
    ASSERT_EQ(permit != nullptr, expected.matched) << round;
    ASSERT_EQ(permit != nullptr ? permit->names().identity : std::get<Denial>(decision).nearest.identity,
              expected.identity)
        << round;
    permits += permit != nullptr ? 1 : 0;
  }
  EXPECT_GT(permits, 300);
  EXPECT_LT(permits, 2700);
}

TEST(IdentityIndex, ADenyOfManyHitsWhoeverLookingThroughAllWouldHit) {
  RandomCallers random(20261128);
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  int denials = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<RuleIdentity> identities;
    for (std::size_t i = 0; i < IdentityIndex::kFew + 1; ++i) {
      identities.push_back(random.identity(i));
    }
    Snapshot snapshot;
    snapshot.rules.fill(RuleSet::compile(item_with(identities, true), Matching::kEnforce));
    const identity::ConnectionIdentity caller = random.caller();
    const std::vector<IdentityRule>& all = snapshot.rules[0]->identities();
    const auto hit = std::ranges::find_if(all, [&](const IdentityRule& rule) { return may_be(rule, caller); });
    const Decision decision = decide(caller, request.view(), snapshot);
    const auto* denial = std::get_if<Denial>(&decision);
    const bool by_rule = denial != nullptr && denial->reason == Reason::kExplicitDeny;
    ASSERT_EQ(by_rule, hit != all.end()) << round;
    if (by_rule) {
      ASSERT_EQ(denial->nearest.identity, hit->name) << round;
      ++denials;
    }
  }
  EXPECT_GT(denials, 300);
  EXPECT_LT(denials, 2700);
}

}  // namespace
}  // namespace msp::policy
