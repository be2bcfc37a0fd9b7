// SPDX-License-Identifier: Apache-2.0
// What OpenMSP adds to the field's rules: methods, explicit deny, dry runs, places, and that nothing of it is ignored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/engine.h"
#include "tests/support/policy_request.h"

namespace msp::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr std::array kMatchings = {Matching::kOff, Matching::kShadow, Matching::kEnforce};

identity::ConnectionIdentity caller(std::string user) {
  identity::ConnectionIdentity out;
  out.known = true;
  out.user_name = std::move(user);
  out.process_name = "curl";
  return out;
}

identity::ConnectionIdentity caller_in(std::string path) {
  identity::ConnectionIdentity out = caller("alice");
  out.cgroup = std::make_shared<const identity::CgroupPlace>(identity::place_in(std::move(path)));
  return out;
}

RuleIdentity user(const std::string& name) {
  RuleIdentity out;
  out.name = name;
  out.user_name = name;
  return out;
}

/// Privileges "token" on /metadata/identity and "all" on /metadata, each with a role of its name; users alice and bob.
RuleItem item(std::vector<RuleAssignment> assignments, std::string access = "deny") {
  RuleItem out{.default_access = std::move(access), .mode = "enforce", .id = "r", .rules = RuleSections()};
  out.rules->privileges = {{{.name = "token", .path = "/metadata/identity", .query_parameters = {}},
                            {.name = "all", .path = "/metadata", .query_parameters = {}}}};
  out.rules->roles = {{{.name = "token", .privileges = {"token"}}, {.name = "all", .privileges = {"all"}}}};
  out.rules->identities = {{user("alice"), user("bob"), user("everybody")}};
  out.rules->identities->back().user_name.reset();
  out.rules->role_assignments = std::move(assignments);
  return out;
}

constexpr AssignmentExtension kDeny{.deny = true, .dry_run = false};
constexpr AssignmentExtension kDryAllow{.deny = false, .dry_run = true};
constexpr AssignmentExtension kDryDeny{.deny = true, .dry_run = true};

Decision run(const RuleItem& rules, const identity::ConnectionIdentity& who, std::string_view target,
             Matching matching = Matching::kEnforce, std::string_view method = "GET") {
  Snapshot snapshot;
  snapshot.matching = matching;
  snapshot.rules.fill(RuleSet::compile(rules, matching));
  const test::PolicyRequest request(Service::kImds, method, target);
  return decide(who, request.view(), snapshot);
}

bool allowed(const Decision& decision) { return std::holds_alternative<Permit>(decision); }
Reason reason(const Decision& decision) {
  const auto* denial = std::get_if<Denial>(&decision);
  return denial == nullptr ? Reason::kNone : denial->reason;
}

TEST(Methods, APrivilegeThatNamesMethodsMatchesThoseOnly) {
  for (const Matching matching : kMatchings) {
    RuleItem rules = item({{.role = "all", .identities = {"alice"}}});
    rules.rules->privileges->at(1).openmsp.methods = {"GET", "HEAD"};
    EXPECT_TRUE(allowed(run(rules, caller("alice"), "/metadata/x", matching, "GET")));
    EXPECT_TRUE(allowed(run(rules, caller("alice"), "/metadata/x", matching, "HEAD")));
    for (const char* other : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
      EXPECT_EQ(reason(run(rules, caller("alice"), "/metadata/x", matching, other)), Reason::kNoRule) << other;
    }
    // Like a privilege of another path: the default decides.
    rules.default_access = "allow";
    EXPECT_TRUE(allowed(run(rules, caller("bob"), "/metadata/x", matching, "PUT")));
    EXPECT_EQ(reason(run(rules, caller("bob"), "/metadata/x", matching, "GET")), Reason::kIdentityMismatch);
  }
}

TEST(Methods, CaseCounts) {
  RuleItem rules = item({{.role = "all", .identities = {"alice"}}});
  rules.rules->privileges->at(1).openmsp.methods = {"GET"};
  // Legacy matching knows methods that have no canonical form, too.
  EXPECT_EQ(reason(run(rules, caller("alice"), "/metadata", Matching::kOff, "get")), Reason::kNoRule);
  EXPECT_TRUE(allowed(run(rules, caller("alice"), "/metadata", Matching::kOff, "GET")));
  rules.rules->privileges->at(1).openmsp.methods.clear();
  EXPECT_TRUE(allowed(run(rules, caller("alice"), "/metadata", Matching::kOff, "get")));
}

TEST(Deny, GoesBeforeEveryAllowWhicheverIsMoreExact) {
  for (const Matching matching : kMatchings) {
    for (const char* denied : {"all", "token"}) {
      const char* granted = denied == std::string("all") ? "token" : "all";
      const RuleItem both = item(
          {{.role = granted, .identities = {"alice"}}, {.role = denied, .identities = {"alice"}, .openmsp = kDeny}});
      const Decision decision = run(both, caller("alice"), "/metadata/identity/x", matching);
      ASSERT_EQ(reason(decision), Reason::kExplicitDeny) << denied;
      const Denial& denial = std::get<Denial>(decision);
      EXPECT_EQ(denial.code(), "explicit_deny");
      EXPECT_EQ(denial.nearest.role, denied);
      EXPECT_EQ(denial.nearest.privilege, denied);
      EXPECT_EQ(denial.nearest.identity, "alice");
      EXPECT_TRUE(allowed(
          run(item({{.role = granted, .identities = {"alice"}}}), caller("alice"), "/metadata/identity/x", matching)));
    }
  }
}

TEST(Deny, OnlyItsOwnIdentitiesAndItsOwnPrivilege) {
  for (const Matching matching : kMatchings) {
    const RuleItem rules = item(
        {{.role = "all", .identities = {"everybody"}}, {.role = "token", .identities = {"bob"}, .openmsp = kDeny}});
    EXPECT_EQ(reason(run(rules, caller("bob"), "/metadata/identity", matching)), Reason::kExplicitDeny);
    EXPECT_TRUE(allowed(run(rules, caller("bob"), "/metadata/instance", matching)));
    EXPECT_TRUE(allowed(run(rules, caller("alice"), "/metadata/identity", matching)));
  }
}

// A privilege matches by being there, whoever names it: so neither adding a deny nor taking an allow away opens.
TEST(Deny, AddingOneNeverOpensAndChangesNothingForOthers) {
  for (const Matching matching : kMatchings) {
    for (const char* access : {"allow", "deny"}) {
      for (const bool granted : {false, true}) {
        std::vector<RuleAssignment> assignments;
        if (granted) {
          assignments.push_back({.role = "token", .identities = {"alice"}});
        }
        const RuleItem before = item(assignments, access);
        assignments.push_back({.role = "token", .identities = {"bob"}, .openmsp = kDeny});
        const RuleItem after = item(assignments, access);
        for (const char* target : {"/metadata/identity", "/metadata/x", "/other"}) {
          for (const char* who : {"alice", "carol"}) {
            EXPECT_EQ(reason(run(before, caller(who), target, matching)),
                      reason(run(after, caller(who), target, matching)));
          }
          EXPECT_LE(allowed(run(after, caller("bob"), target, matching)),
                    allowed(run(before, caller("bob"), target, matching)));
        }
      }
    }
  }
}

TEST(Deny, AuditModeReportsItAndDisabledDoesNotLook) {
  RuleItem rules = item({{.role = "all", .identities = {"alice"}, .openmsp = kDeny}});
  rules.mode = "audit";
  const Decision audit = run(rules, caller("alice"), "/metadata");
  ASSERT_TRUE(allowed(audit));
  EXPECT_EQ(std::get<Permit>(audit).audit_reason(), Reason::kExplicitDeny);
  rules.mode = "disabled";
  EXPECT_TRUE(allowed(run(rules, caller("alice"), "/metadata")));
}

TEST(Deny, ACallerOfWhomItCannotBeToldIsDenied) {
  RuleItem rules =
      item({{.role = "all", .identities = {"everybody"}}, {.role = "token", .identities = {"bob"}, .openmsp = kDeny}});
  RuleIdentity& bob = rules.rules->identities->at(1);
  EXPECT_EQ(reason(run(rules, caller(""), "/metadata/identity")), Reason::kExplicitDeny);
  EXPECT_TRUE(allowed(run(rules, caller("carol"), "/metadata/identity")));

  bob.user_name.reset();
  bob.group_name = "staff";
  identity::ConnectionIdentity who = caller("carol");
  who.groups = {50};
  EXPECT_EQ(reason(run(rules, who, "/metadata/identity")), Reason::kExplicitDeny) << "a group without name";
  who.group_names = {"users"};
  EXPECT_TRUE(allowed(run(rules, who, "/metadata/identity")));
  who.more_groups = true;
  EXPECT_EQ(reason(run(rules, who, "/metadata/identity")), Reason::kExplicitDeny);

  bob.group_name.reset();
  bob.openmsp.unit = "a.service";
  EXPECT_EQ(reason(run(rules, caller("carol"), "/metadata/identity")), Reason::kExplicitDeny)
      << "a cgroup that is gone";
  EXPECT_EQ(reason(run(rules, caller_in("/a.service"), "/metadata/identity")), Reason::kExplicitDeny);
  EXPECT_TRUE(allowed(run(rules, caller_in("/b.service"), "/metadata/identity")));
}

TEST(Deny, WhatItNamesMustExist) {
  const auto why = [](const RuleItem& rules) { return RuleSet::compile(rules, Matching::kEnforce)->unusable(); };
  EXPECT_EQ(why(item({{.role = "token", .identities = {"bob"}, .openmsp = kDeny}})), "");
  EXPECT_THAT(why(item({{.role = "no", .identities = {"bob"}, .openmsp = kDeny}})), HasSubstr("the role \"no\""));
  EXPECT_THAT(why(item({{.role = "token", .identities = {"bobb"}, .openmsp = kDeny}})),
              StartsWith("/rules/roleAssignments/0: the deny names the identity \"bobb\""));
  RuleItem rules = item({{.role = "token", .identities = {"bob"}, .openmsp = kDeny}});
  rules.rules->roles->at(0).privileges.emplace_back("gone");
  EXPECT_THAT(why(rules), HasSubstr("the privilege \"gone\""));
  rules.rules->identities.reset();
  EXPECT_THAT(why(rules), HasSubstr("are missing"));
  // An allow that names what does not exist is skipped, as in the field.
  EXPECT_EQ(why(item({{.role = "no", .identities = {"bobb"}}})), "");
}

TEST(DryRuns, AreTheOutcomeThatWouldBeAndHaveNoEffect) {
  for (const Matching matching : kMatchings) {
    const RuleItem plain = item({{.role = "all", .identities = {"alice"}}});
    RuleItem rules = plain;
    rules.rules->role_assignments->push_back({.role = "token", .identities = {"bob"}, .openmsp = kDryAllow});
    rules.rules->role_assignments->push_back({.role = "token", .identities = {"alice"}, .openmsp = kDryDeny});
    const Decision bob = run(rules, caller("bob"), "/metadata/identity", matching);
    ASSERT_EQ(reason(bob), Reason::kIdentityMismatch);
    const Denial& denial = std::get<Denial>(bob);
    EXPECT_EQ(denial.dry_run.verdict, Verdict::kAllow);
    EXPECT_EQ(names_of(denial.dry_run, denial.rules.get()).identity, "bob");
    EXPECT_EQ(names_of(denial.dry_run, denial.rules.get()).privilege, "token");
    const Decision alice = run(rules, caller("alice"), "/metadata/identity", matching);
    ASSERT_TRUE(allowed(alice));
    const Permit& permit = std::get<Permit>(alice);
    EXPECT_EQ(permit.dry_run().verdict, Verdict::kDeny);
    EXPECT_EQ(names_of(permit.dry_run(), permit.rules()).role, "token");
    EXPECT_EQ(permit.names().role, "all");
    // About neither another request nor another caller.
    EXPECT_EQ(std::get<Permit>(run(rules, caller("alice"), "/metadata/x", matching)).dry_run().verdict,
              Verdict::kNotRun);
    EXPECT_EQ(std::get<Denial>(run(rules, caller("carol"), "/metadata/identity", matching)).dry_run.verdict,
              Verdict::kNotRun);
    EXPECT_EQ(names_of(DryRun(), permit.rules()).role, "");
  }
}

TEST(DryRuns, DenyGoesBeforeAllowAndARealDenyBeforeAnAllow) {
  const RuleItem both = item({{.role = "token", .identities = {"bob"}, .openmsp = kDryAllow},
                              {.role = "all", .identities = {"bob"}, .openmsp = kDryDeny}});
  EXPECT_EQ(std::get<Denial>(run(both, caller("bob"), "/metadata/identity")).dry_run.verdict, Verdict::kDeny);
  const RuleItem turned = item({{.role = "all", .identities = {"bob"}, .openmsp = kDryAllow},
                                {.role = "token", .identities = {"bob"}, .openmsp = kDryDeny}});
  EXPECT_EQ(std::get<Denial>(run(turned, caller("bob"), "/metadata/identity")).dry_run.verdict, Verdict::kDeny);
  const RuleItem denied = item({{.role = "token", .identities = {"bob"}, .openmsp = kDryAllow},
                                {.role = "all", .identities = {"bob"}, .openmsp = kDeny}});
  const Decision decision = run(denied, caller("bob"), "/metadata/identity");
  EXPECT_EQ(reason(decision), Reason::kExplicitDeny);
  EXPECT_EQ(std::get<Denial>(decision).dry_run.verdict, Verdict::kNotRun);
}

// A decision took the square of the caller's assignments: five seconds for a hundred thousand.
TEST(DryRuns, OfManyAssignmentsOfTheCallerTheFirstIsNamed) {
  constexpr std::size_t kMany = 50'000;
  RuleItem rules = item({{.role = "all", .identities = {"alice"}}});
  for (std::size_t i = 0; i < kMany; ++i) {
    const std::string name = "r" + std::to_string(i);
    rules.rules->roles->push_back({.name = name, .privileges = {"token"}});
    rules.rules->identities->push_back(user("bob"));
    rules.rules->identities->back().name = name;
    // Each with the identity of the one before it, too, and from the last to the first.
    rules.rules->role_assignments->push_back(
        {.role = name, .identities = {name, "r" + std::to_string(i == 0 ? 0 : i - 1)}, .openmsp = kDryAllow});
  }
  std::ranges::reverse(*rules.rules->role_assignments);
  const Decision decision = run(rules, caller("bob"), "/metadata/identity");
  ASSERT_EQ(reason(decision), Reason::kIdentityMismatch);
  const Denial& denial = std::get<Denial>(decision);
  const RuleNames names = names_of(denial.dry_run, denial.rules.get());
  EXPECT_EQ(denial.dry_run.verdict, Verdict::kAllow);
  EXPECT_EQ(names.role, "r" + std::to_string(kMany - 1)) << "the first assignment";
  EXPECT_EQ(names.identity, "r" + std::to_string(kMany - 2)) << "the first of its identities";
}

RuleItem at_place(IdentityExtension place) {
  RuleItem rules = item({{.role = "all", .identities = {"alice"}}});
  rules.rules->identities->front().openmsp = std::move(place);
  return rules;
}

TEST(Places, DecideByTheCgroupOfTheConnect) {
  const std::string id = "0123456789ab" + std::string(52, '0');
  struct Row {
    IdentityExtension rule;
    std::string fits;
    std::string other;
    std::string_view missed;
  };
  const std::vector<Row> rows = {
      {{.unit = "a.service"}, "/system.slice/a.service/x", "/user.slice/user@1.service/a.service", "unit"},
      {{.cgroup = "/system.slice/a.service"}, "/system.slice/a.service/x", "/system.slice/a.serviceX", "cgroup"},
      {{.container = id.substr(0, 12)}, "/docker/" + id, "/docker/" + std::string(64, '1'), "container"},
      {{.container = id}, "/system.slice/docker-" + id + ".scope", "/system.slice/a.service/docker-" + id, "container"},
  };
  for (const Matching matching : kMatchings) {
    for (const Row& row : rows) {
      const RuleItem rules = at_place(row.rule);
      EXPECT_TRUE(allowed(run(rules, caller_in(row.fits), "/metadata", matching))) << row.fits;
      const Decision other = run(rules, caller_in(row.other), "/metadata", matching);
      ASSERT_EQ(reason(other), Reason::kIdentityMismatch) << row.other;
      EXPECT_EQ(std::get<Denial>(other).missed_field, row.missed);
      EXPECT_EQ(reason(run(rules, caller("alice"), "/metadata", matching)), Reason::kIdentityMismatch) << "not known";
      identity::ConnectionIdentity bob = caller_in(row.fits);
      bob.user_name = "bob";
      EXPECT_EQ(reason(run(rules, bob, "/metadata", matching)), Reason::kIdentityMismatch) << "narrows, never replaces";
    }
  }
}

TEST(Places, OnlySetsThatAskForThemSaySo) {
  EXPECT_FALSE(RuleSet::compile(item({}), Matching::kEnforce)->names_cgroups());
  const auto cgroup = RuleSet::compile(at_place({.cgroup = "/a"}), Matching::kEnforce);
  EXPECT_TRUE(cgroup->names_cgroups());
  EXPECT_FALSE(cgroup->names_units());
  EXPECT_TRUE(RuleSet::compile(at_place({.unit = "a.service"}), Matching::kEnforce)->names_units());
}

TEST(Refused, ADenyThatNoRequestWouldMeetDeniesEverybodyWithTheReason) {
  RuleItem rules =
      item({{.role = "all", .identities = {"alice"}}, {.role = "token", .identities = {"alice"}, .openmsp = kDeny}});
  rules.rules->privileges->at(0).query_parameters = {{"share", "100%"}};
  for (const Matching matching : kMatchings) {
    const Decision refused = run(rules, caller("alice"), "/metadata/identity?share=100%25", matching);
    EXPECT_EQ(reason(refused), Reason::kRulesUnusable);
  }
  EXPECT_THAT(RuleSet::compile(rules, Matching::kEnforce)->unusable(),
              testing::AllOf(StartsWith("/rules/roleAssignments/1: "), HasSubstr("\"token\""), HasSubstr("%25")));
  rules.rules->privileges->at(0).query_parameters = {{"share", "100%25"}};
  EXPECT_EQ(reason(run(rules, caller("alice"), "/metadata/identity?share=100%25")), Reason::kExplicitDeny);
  EXPECT_TRUE(allowed(run(rules, caller("alice"), "/metadata/identity?share=50")));
}

// Legacy matching decides in "off" and "shadow": what it never meets, it would never deny.
TEST(Refused, ADenyThatTheDecidingMatchingNeverMeetsDeniesEverybodyWithTheReason) {
  struct Row {
    RulePrivilege denied;
    const char* target;
    const char* why;
  };
  const Row rows[] = {
      {{.name = "token", .path = "metadata/identity", .query_parameters = {}}, "/metadata/identity", "begin with '/'"},
      {{.name = "token", .path = "/metadata/identity", .query_parameters = {{"", "x"}}},
       "/metadata/identity?=x",
       "a key of its query is empty"},
      {{.name = "token", .path = "/metadata//identity", .query_parameters = {}}, "/metadata/identity", "'//'"},
      {{.name = "token", .path = "/metadata/x/../identity", .query_parameters = {}}, "/metadata/identity", "'..'"}};
  for (const Row& row : rows) {
    RuleItem rules =
        item({{.role = "all", .identities = {"alice"}}, {.role = "token", .identities = {"alice"}, .openmsp = kDeny}});
    rules.rules->privileges->at(0) = row.denied;
    for (const Matching matching : {Matching::kOff, Matching::kShadow}) {
      EXPECT_EQ(reason(run(rules, caller("alice"), row.target, matching)), Reason::kRulesUnusable) << row.target;
      EXPECT_THAT(RuleSet::compile(rules, matching)->unusable(),
                  testing::AllOf(StartsWith("/rules/roleAssignments/1: "), HasSubstr("\"token\""), HasSubstr(row.why)));
    }
    EXPECT_EQ(reason(run(rules, caller("alice"), row.target, Matching::kEnforce)), Reason::kExplicitDeny);
    rules.rules->role_assignments->at(1).openmsp.deny = false;
    EXPECT_TRUE(RuleSet::refusals(rules, Matching::kOff).empty()) << "a grant that is lost opens nothing";
  }
}

// Legacy matching compares the path decoded once with the rule's text, whatever bytes that has.
TEST(Refused, ADenyThatTheLegacyMatchingMeetsIsKept) {
  const std::pair<const char*, const char*> rows[] = {{"/a b", "/a%20b"},
                                                      {"/a#b", "/a%23b"},
                                                      {"/a<`>", "/a%3c%60%3E/x"},
                                                      {"/a/..", "/a/..b"},
                                                      {"/a/%2e%2e/b", "/a/%252e%252e/b"},
                                                      {"/a%2f/b", "/a%252f/b"},
                                                      {"*", "*"}};
  for (const auto& [path, target] : rows) {
    RuleItem rules =
        item({{.role = "all", .identities = {"alice"}}, {.role = "token", .identities = {"alice"}, .openmsp = kDeny}});
    rules.rules->privileges->at(0).path = path;
    EXPECT_TRUE(RuleSet::refusals(rules, Matching::kOff).empty()) << path;
    EXPECT_EQ(reason(run(rules, caller("alice"), target, Matching::kOff)), Reason::kExplicitDeny) << path;
  }
}

// There may be one for each pair of two long lists: most are counted only, and a role is looked at once.
TEST(Refused, OfManyFaultsTheFirstAreNamedAndTheOthersCounted) {
  constexpr std::size_t kMany = 20'000;
  RuleItem rules = item({});
  RuleRole& role = rules.rules->roles->emplace_back(RuleRole{.name = "many", .privileges = {}});
  for (std::size_t i = 0; i < kMany; ++i) {
    role.privileges.push_back("gone" + std::to_string(i));
    rules.rules->role_assignments->push_back({.role = "many", .identities = {"alice"}, .openmsp = kDeny});
  }
  role.privileges[0] = std::string(100'000, 'x');
  const std::vector<std::string> refused = RuleSet::refusals(rules, Matching::kEnforce);
  ASSERT_EQ(refused.size(), RuleSet::kMaxRefusals + 1);
  EXPECT_LT(refused[0].size(), 500U);
  EXPECT_THAT(refused[1], testing::AllOf(StartsWith("/rules/roleAssignments/0: "), HasSubstr("\"gone1\"")));
  EXPECT_EQ(refused.back(), "and 399999900 more");
}

TEST(Refused, AHundredThousandRulesOfEachKindAreNotTooLarge) {
  RuleItem rules = item({});
  for (int i = 0; i < 100'000; ++i) {
    const std::string n = std::to_string(i);
    rules.rules->privileges->push_back(
        {.name = "privilege-" + n, .path = "/metadata/instance/of/" + n, .query_parameters = {{"k", n}}});
    rules.rules->roles->push_back({.name = "role-" + n, .privileges = {"privilege-" + n}});
    rules.rules->identities->push_back({.name = "identity-" + n,
                                        .user_name = "user-" + n,
                                        .group_name = {},
                                        .exe_path = "/usr/bin/program-" + n,
                                        .process_name = {}});
    rules.rules->role_assignments->push_back({.role = "role-" + n, .identities = {"identity-" + n}});
  }
  EXPECT_TRUE(RuleSet::refusals(rules, Matching::kEnforce).empty());
}

TEST(Refused, ASetThatIsTooLargeToBePassedOnDeniesEverybodyWithTheReason) {
  RuleItem rules = item({{.role = "all", .identities = {"alice"}}}, "allow");
  rules.rules->privileges->at(0).path = "/" + std::string(RuleSet::kMaxBytes / 2, 'x');
  EXPECT_TRUE(RuleSet::refusals(rules, Matching::kEnforce).empty());
  rules.rules->privileges->at(0).path = "/" + std::string(RuleSet::kMaxBytes / 2, '"');
  EXPECT_THAT(RuleSet::compile(rules, Matching::kEnforce)->unusable(), HasSubstr("the set is too large"));
}

TEST(Refused, ProblemsOfTheTextAndHashesDenyEverybodyWithTheReason) {
  RuleItem rules = item({{.role = "all", .identities = {"alice"}}}, "allow");
  rules.mode = "audit";
  ASSERT_TRUE(allowed(run(rules, caller("alice"), "/metadata")));
  rules.problems = {"/openmsp: one"};
  rules.rules->problems = {"/rules/roles/0/openmsp: two"};
  rules.rules->identities->at(1).openmsp.exe_sha256 = std::string(64, 'a');
  const auto set = RuleSet::compile(rules, Matching::kOff);
  EXPECT_THAT(set->unusable(), StartsWith("/openmsp: one; /rules/roles/0/openmsp: two; /rules/identities/1: "));
  EXPECT_THAT(set->unusable(), HasSubstr("not available on this kernel"));
  EXPECT_EQ(set->id(), "r");
  EXPECT_EQ(RuleSet::refusals(rules, Matching::kOff).size(), 3U);
  for (const char* mode : {"enforce", "audit", "disabled"}) {
    rules.mode = mode;
    EXPECT_EQ(reason(run(rules, caller("alice"), "/metadata", Matching::kOff)), Reason::kRulesUnusable) << mode;
  }
}

}  // namespace
}  // namespace msp::policy
