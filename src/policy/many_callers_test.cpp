// SPDX-License-Identifier: Apache-2.0
// Rule sets whose privileges have many callers: what is found by an index is what looking through all would find.
#include <gtest/gtest.h>

#include <random>

#include "policy/engine.h"
#include "policy/identity_index.h"
#include "policy/identity_match.h"
#include "policy/ruleset.h"
#include "tests/support/policy_request.h"

namespace msp::policy {
namespace {

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

TEST(ManyCallers, IsMadeWhereThereAreManyAlone) {
  std::vector<RuleIdentity> identities(IdentityIndex::kFew - 1);
  for (std::size_t i = 0; i < identities.size(); ++i) {
    identities[i].name = std::to_string(i);
  }
  EXPECT_EQ(RuleSet::compile(item_with(identities, false), Matching::kEnforce)->callers(), nullptr);
  identities.emplace_back().name = "one more";
  EXPECT_NE(RuleSet::compile(item_with(identities, false), Matching::kEnforce)->callers(), nullptr);
  EXPECT_NE(RuleSet::compile(item_with(identities, true), Matching::kEnforce)->callers(), nullptr);
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

/// The first identity that is the caller.
Expected looked_through(const RuleSet& rules, const identity::ConnectionIdentity& caller) {
  for (const IdentityRule& rule : rules.identities()) {
    if (match_identity(rule, caller).matched) {
      return {.identity = rule.name, .matched = true};
    }
  }
  return {};
}

std::vector<RuleIdentity> some(RandomCallers& random, std::size_t count) {
  std::vector<RuleIdentity> identities;
  for (std::size_t i = 0; i < count; ++i) {
    identities.push_back(random.identity(i));
  }
  return identities;
}

Reason reason_of_denial(const Decision& decision) { return std::get<Denial>(decision).reason; }

TEST(ManyCallers, ADecisionNamesTheSameIdentityAsLookingThroughAll) {
  RandomCallers random(20261127);
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  int permits = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::vector<RuleIdentity> identities = some(random, IdentityIndex::kFew + 8);
    Snapshot snapshot;
    snapshot.rules.fill(RuleSet::compile(item_with(identities, false), Matching::kEnforce));
    const identity::ConnectionIdentity caller = random.caller();
    const Expected expected = looked_through(*snapshot.rules[0], caller);
    const Decision decision = decide(caller, request.view(), snapshot);
    const auto* permit = std::get_if<Permit>(&decision);
    ASSERT_EQ(permit != nullptr, expected.matched) << round;
    if (permit != nullptr) {
      ASSERT_EQ(permit->names().identity, expected.identity) << round;
    } else {
      ASSERT_EQ(reason_of_denial(decision), Reason::kIdentityMismatch) << round;
      ASSERT_NE(std::get<Denial>(decision).nearest.identity, "") << round;
    }
    permits += permit != nullptr ? 1 : 0;
  }
  EXPECT_GT(permits, 300);
  EXPECT_LT(permits, 2700);
}

/// A role for each of `users`, all with the one privilege.
RuleItem item_of_roles(std::size_t users, bool deny) {
  RuleItem item = item_with({}, false);
  item.rules->roles->clear();
  item.rules->role_assignments->clear();
  for (std::size_t i = 0; i < users; ++i) {
    const std::string n = std::to_string(i);
    item.rules->roles->push_back({.name = "r" + n, .privileges = {"p"}});
    RuleIdentity& identity = item.rules->identities->emplace_back();
    identity.name = "i" + n;
    identity.user_name = "u" + n;
    item.rules->role_assignments->push_back({.role = "r" + n, .identities = {"i" + n}});
    item.rules->role_assignments->back().openmsp.deny = deny;
  }
  return item;
}

TEST(ManyCallers, OfManyRolesTheCallersOwnCounts) {
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  for (const bool deny : {false, true}) {
    Snapshot snapshot;
    snapshot.rules.fill(RuleSet::compile(item_of_roles(1000, deny), Matching::kEnforce));
    identity::ConnectionIdentity caller;
    caller.known = true;
    caller.cgroup = std::make_shared<const identity::CgroupPlace>();
    for (const bool named : {true, false}) {
      caller.user_name = named ? "u700" : "stranger";
      const Decision decision = decide(caller, request.view(), snapshot);
      if (const auto* permit = std::get_if<Permit>(&decision)) {
        EXPECT_TRUE(named && !deny);
        EXPECT_EQ(permit->names().role, "r700");
      } else {
        EXPECT_EQ(reason_of_denial(decision), named ? Reason::kExplicitDeny : Reason::kIdentityMismatch);
        EXPECT_EQ(std::get<Denial>(decision).nearest.role, named ? "r700" : deny ? "" : "r999");
      }
    }
  }
  // Without a name anybody could be meant.
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::compile(item_of_roles(1000, true), Matching::kEnforce));
  identity::ConnectionIdentity nameless;
  nameless.known = true;
  EXPECT_EQ(reason_of_denial(decide(nameless, request.view(), snapshot)), Reason::kExplicitDeny);
}

/// Two privileges with as many roles each; the caller is in one of the second, and has many roles that hold nothing.
/// As item_of_roles(), but each role has a privilege of its own, all for the same requests.
RuleItem item_of_privileges(std::size_t users, bool deny) {
  RuleItem item = item_of_roles(users, deny);
  item.rules->privileges->clear();
  for (std::size_t i = 0; i < users; ++i) {
    const std::string n = std::to_string(i);
    item.rules->privileges->push_back({.name = "p" + n, .path = "/", .query_parameters = {}});
    (*item.rules->roles)[i].privileges = {"p" + n};
  }
  return item;
}

TEST(ManyCallers, OfManyPrivilegesThatMatchAlikeTheCallersOwnCounts) {
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  identity::ConnectionIdentity caller;
  caller.known = true;
  caller.cgroup = std::make_shared<const identity::CgroupPlace>();
  for (const Matching matching : {Matching::kEnforce, Matching::kOff, Matching::kShadow}) {
    Snapshot allows{.matching = matching, .rules = {}};
    allows.rules.fill(RuleSet::compile(item_of_privileges(1000, false), matching));
    Snapshot denies{.matching = matching, .rules = {}};
    denies.rules.fill(RuleSet::compile(item_of_privileges(1000, true), matching));
    for (const char* const number : {"0", "700", "999"}) {
      caller.user_name = std::string("u") + number;
      const Decision allowed = decide(caller, request.view(), allows);
      ASSERT_TRUE(std::holds_alternative<Permit>(allowed));
      EXPECT_EQ(std::get<Permit>(allowed).names().privilege, std::string("p") + number);
      EXPECT_EQ(std::get<Permit>(allowed).names().role, std::string("r") + number);
      EXPECT_EQ(std::get<Permit>(allowed).names().identity, std::string("i") + number);
      const Decision denied = decide(caller, request.view(), denies);
      EXPECT_EQ(reason_of_denial(denied), Reason::kExplicitDeny);
      EXPECT_EQ(std::get<Denial>(denied).nearest.privilege, std::string("p") + number);
    }
    // Some privilege matches: the default, which allows, does not count any more.
    caller.user_name = "stranger";
    EXPECT_EQ(reason_of_denial(decide(caller, request.view(), allows)), Reason::kIdentityMismatch);
    EXPECT_EQ(reason_of_denial(decide(caller, request.view(), denies)), Reason::kIdentityMismatch);
    caller.user_name = "";
    EXPECT_EQ(reason_of_denial(decide(caller, request.view(), denies)), Reason::kExplicitDeny);
  }
}

TEST(ManyCallers, PrivilegesThatMatchAlikeAreAllThatAndNoMore) {
  RuleItem item = item_of_privileges(100, false);
  std::vector<RulePrivilege>& privileges = *item.rules->privileges;
  privileges[10].query_parameters = {{"k", "v"}};
  privileges[11].openmsp.methods = {"POST"};
  privileges[12].path = "/y";
  const std::vector<std::pair<std::string, bool>> asked = {
      {"u9", true}, {"u10", false}, {"u11", false}, {"u12", false}, {"u13", true}};
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::compile(item, Matching::kEnforce));
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  identity::ConnectionIdentity caller;
  caller.known = true;
  for (const auto& [user, allowed] : asked) {
    caller.user_name = user;
    EXPECT_EQ(std::holds_alternative<Permit>(decide(caller, request.view(), snapshot)), allowed) << user;
  }
  caller.user_name = "u10";
  const test::PolicyRequest with_query(Service::kImds, "GET", "/x?k=v");
  EXPECT_TRUE(std::holds_alternative<Permit>(decide(caller, with_query.view(), snapshot)));
  caller.user_name = "u11";
  const test::PolicyRequest post(Service::kImds, "POST", "/x");
  EXPECT_TRUE(std::holds_alternative<Permit>(decide(caller, post.view(), snapshot)));
}

TEST(ManyCallers, ARoleGrantsItsOwnPrivilegesAlone) {
  RuleItem item = item_of_roles(40, false);
  item.rules->privileges = {
      {{.name = "p", .path = "/a", .query_parameters = {}}, {.name = "q", .path = "/b", .query_parameters = {}}}};
  for (std::size_t i = 20; i < 40; ++i) {
    item.rules->roles->at(i).privileges = {"q"};
  }
  for (int i = 0; i < 60; ++i) {
    const std::string name = "idle" + std::to_string(i);
    item.rules->roles->push_back({.name = name, .privileges = {}});
    item.rules->role_assignments->push_back({.role = name, .identities = {"i30"}});
  }
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::compile(item, Matching::kEnforce));
  identity::ConnectionIdentity caller;
  caller.known = true;
  caller.user_name = "u30";
  const test::PolicyRequest a(Service::kImds, "GET", "/a");
  const test::PolicyRequest b(Service::kImds, "GET", "/b");
  EXPECT_EQ(reason_of_denial(decide(caller, a.view(), snapshot)), Reason::kIdentityMismatch);
  EXPECT_TRUE(std::holds_alternative<Permit>(decide(caller, b.view(), snapshot)));
}

TEST(ManyCallers, ADenyOfManyIsForThoseItNames) {
  std::vector<RuleIdentity> identities(IdentityIndex::kFew + 4);
  for (std::size_t i = 0; i < identities.size(); ++i) {
    identities[i].name = std::to_string(i);
    identities[i].user_name = "u" + identities[i].name;
  }
  RuleItem item = item_with(identities, true);
  item.rules->identities->emplace_back().name = "other";
  item.rules->identities->back().user_name = "other";
  item.rules->role_assignments->push_back({.role = "r", .identities = {"other"}});
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::compile(item, Matching::kEnforce));
  identity::ConnectionIdentity caller;
  caller.known = true;
  caller.cgroup = std::make_shared<const identity::CgroupPlace>();
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  caller.user_name = "other";
  EXPECT_TRUE(std::holds_alternative<Permit>(decide(caller, request.view(), snapshot)));
  caller.user_name = "u7";
  EXPECT_EQ(reason_of_denial(decide(caller, request.view(), snapshot)), Reason::kExplicitDeny);
}

TEST(ManyCallers, ADryRunOfManyIsForThoseItNames) {
  std::vector<RuleIdentity> identities(IdentityIndex::kFew + 4);
  for (std::size_t i = 0; i < identities.size(); ++i) {
    identities[i].name = std::to_string(i);
    identities[i].user_name = "u" + identities[i].name;
  }
  RuleItem item = item_with(identities, false);
  item.rules->role_assignments->front().openmsp.dry_run = true;
  item.rules->identities->emplace_back().name = "tool";
  item.rules->identities->back().process_name = "tool";
  item.rules->roles->push_back({.name = "s", .privileges = {"p"}});
  item.rules->role_assignments->push_back({.role = "s", .identities = {"tool"}});
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::compile(item, Matching::kEnforce));
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  identity::ConnectionIdentity caller;
  caller.known = true;
  caller.process_name = "tool";
  for (const bool named : {false, true}) {
    caller.user_name = named ? "u7" : "";
    const Decision decision = decide(caller, request.view(), snapshot);
    const auto* permit = std::get_if<Permit>(&decision);
    ASSERT_NE(permit, nullptr);
    EXPECT_EQ(permit->dry_run().verdict, named ? Verdict::kAllow : Verdict::kNotRun);
  }
}

/// "tool", a process, then "0" to "19", users in the role "r".
RuleItem item_with_a_tool() {
  std::vector<RuleIdentity> identities(IdentityIndex::kFew + 5);
  identities[0].name = "tool";
  identities[0].process_name = "tool";
  for (std::size_t i = 1; i < identities.size(); ++i) {
    identities[i].name = std::to_string(i - 1);
    identities[i].user_name = "u" + identities[i].name;
  }
  RuleItem item = item_with(std::move(identities), true);
  std::vector<std::string>& assigned = item.rules->role_assignments->front().identities;
  assigned.erase(assigned.begin());
  item.rules->privileges->push_back({.name = "q", .path = "/q", .query_parameters = {}});
  item.rules->roles->push_back({.name = "s", .privileges = {"q"}});
  item.rules->role_assignments->push_back({.role = "s", .identities = {"tool"}});
  return item;
}

TEST(ManyCallers, OfWhatACallerIsTheOneInTheRoleIsNamed) {
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::compile(item_with_a_tool(), Matching::kEnforce));
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  identity::ConnectionIdentity caller;
  caller.known = true;
  caller.process_name = "tool";
  caller.user_name = "u7";
  const Decision decision = decide(caller, request.view(), snapshot);
  ASSERT_EQ(reason_of_denial(decision), Reason::kExplicitDeny);
  EXPECT_EQ(std::get<Denial>(decision).nearest.identity, "7");
}

TEST(ManyCallers, WhoMayBeMeantIsDeniedAndNotAllowed) {
  RuleItem item = item_with_a_tool();
  // "7" is denied elsewhere, and in a dry run allowed here.
  item.rules->identities->at(8).process_name = "tool";
  item.rules->role_assignments->front().openmsp = {.deny = false, .dry_run = true};
  item.rules->role_assignments->back() = {
      .role = "s", .identities = {"7"}, .openmsp = {.deny = true, .dry_run = false}};
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::compile(item, Matching::kEnforce));
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  identity::ConnectionIdentity caller;
  caller.known = true;
  caller.process_name = "tool";
  for (const bool named : {true, false}) {
    caller.user_name = named ? "u7" : "";
    const Decision decision = decide(caller, request.view(), snapshot);
    EXPECT_EQ(reason_of_denial(decision), Reason::kIdentityMismatch);
    EXPECT_EQ(std::get<Denial>(decision).dry_run.verdict, named ? Verdict::kAllow : Verdict::kNotRun) << named;
  }
}

TEST(ManyCallers, OfManyPrivilegesOfOnePathThoseOfTheMethodAreFound) {
  RuleItem item = item_with(
      {RuleIdentity{.name = "all", .user_name = {}, .group_name = {}, .exe_path = {}, .process_name = {}}}, false);
  item.default_access = "deny";
  item.rules->privileges->clear();
  item.rules->roles->front().privileges.clear();
  for (int i = 0; i < 20; ++i) {
    const std::string name = "p" + std::to_string(i);
    // Each of another query, so that they are looked for one by one.
    item.rules->privileges->push_back({.name = name, .path = "/x", .query_parameters = {{"k" + name, name}}});
    item.rules->privileges->back().openmsp.methods = {"DELETE"};
    item.rules->roles->front().privileges.push_back(name);
  }
  item.rules->privileges->at(7).query_parameters.clear();
  item.rules->privileges->at(7).openmsp.methods = {"GET", "PUT"};
  for (const Matching matching : {Matching::kOff, Matching::kEnforce}) {
    Snapshot snapshot;
    snapshot.matching = matching;
    snapshot.rules.fill(RuleSet::compile(item, matching));
    identity::ConnectionIdentity caller;
    caller.known = true;
    for (const char* method : {"GET", "PUT"}) {
      const test::PolicyRequest request(Service::kImds, method, "/x");
      const Decision decision = decide(caller, request.view(), snapshot);
      const auto* permit = std::get_if<Permit>(&decision);
      ASSERT_NE(permit, nullptr) << method;
      EXPECT_EQ(permit->names().privilege, "p7");
    }
    const test::PolicyRequest other(Service::kImds, "POST", "/x");
    EXPECT_EQ(reason_of_denial(decide(caller, other.view(), snapshot)), Reason::kNoRule);
  }
}

TEST(ManyCallers, ADenyOfManyHitsWhoeverLookingThroughAllWouldHit) {
  RandomCallers random(20261128);
  const test::PolicyRequest request(Service::kImds, "GET", "/x");
  int denials = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::vector<RuleIdentity> identities = some(random, IdentityIndex::kFew + 1);
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
