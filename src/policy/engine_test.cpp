// SPDX-License-Identifier: Apache-2.0
#include "policy/engine.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "tests/support/policy_request.h"

namespace msp::policy {
namespace {

using test::PolicyRequest;

// Design P1: nobody but the engine can make a Permit, and none can be had twice.
static_assert(!std::is_default_constructible_v<Permit>);
static_assert(!std::is_aggregate_v<Permit>);
static_assert(!std::is_copy_constructible_v<Permit> && !std::is_copy_assignable_v<Permit>);
static_assert(!std::is_constructible_v<Permit, Service> && !std::is_constructible_v<Permit, Ground>);
static_assert(!std::is_convertible_v<Denial, Permit> && !std::is_constructible_v<Permit, Denial>);
static_assert(!std::is_default_constructible_v<Decision>);
static_assert(std::is_nothrow_move_constructible_v<Permit>);

identity::ConnectionIdentity caller(std::string user, bool elevated = false) {
  identity::ConnectionIdentity out;
  out.known = true;
  out.unknown = identity::Unknown::kNone;
  out.elevated = elevated;
  out.user_name = std::move(user);
  out.group_names = {"users", "devs"};
  out.process_name = "curl";
  out.exe_rule_paths = {"/usr/bin/curl"};
  return out;
}

/// One privilege on /metadata/identity that the user alice holds.
RuleItem alice_item(std::string mode = "enforce", std::string default_access = "deny") {
  RuleItem item{
      .default_access = std::move(default_access), .mode = std::move(mode), .id = "r1", .rules = RuleSections()};
  item.rules->privileges = {{{.name = "token", .path = "/Metadata/Identity", .query_parameters = {}}}};
  item.rules->roles = {{{.name = "reader", .privileges = {"token"}}}};
  RuleIdentity& app = item.rules->identities.emplace().emplace_back();
  app.name = "app";
  app.user_name = "alice";
  item.rules->role_assignments = {{{.role = "reader", .identities = {"app"}}}};
  return item;
}

Snapshot snapshot_of(const RuleItem& item, Matching matching = Matching::kEnforce) {
  Snapshot out;
  out.matching = matching;
  out.rules.fill(RuleSet::compile(item, matching));
  return out;
}

Reason reason_of(const Decision& decision) {
  const auto* denial = std::get_if<Denial>(&decision);
  return denial == nullptr ? Reason::kNone : denial->reason;
}

const Permit* permit_of(const Decision& decision) { return std::get_if<Permit>(&decision); }

TEST(Engine, WithoutRulesImdsIsOpenAndTheOthersAreForRoot) {
  const Snapshot none;
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    const PolicyRequest request(service, "GET", "/x");
    const Decision user = decide(caller("alice"), request.view(), none);
    const Decision root = decide(caller("root", true), request.view(), none);
    EXPECT_EQ(reason_of(user), service == Service::kImds ? Reason::kNone : Reason::kNotElevated);
    ASSERT_NE(permit_of(root), nullptr);
    EXPECT_EQ(permit_of(root)->ground(), Ground::kNoRules);
    EXPECT_EQ(permit_of(root)->service(), service);
  }
}

// The readings meet different privileges: what one of them allowed says nothing of a role that the other's has not.
TEST(Engine, WhatOneReadingAllowedTheOtherAllowsByARoleOfItsOwnOnly) {
  RuleItem item = alice_item();
  item.rules->privileges = {{{.name = "prefix", .path = "/a", .query_parameters = {}},
                             {.name = "whole", .path = "/ab", .query_parameters = {}}}};
  item.rules->roles = {{{.name = "r0", .privileges = {"whole"}},
                        {.name = "r1", .privileges = {"prefix"}},
                        {.name = "r2", .privileges = {"whole"}}}};
  RuleIdentity& bob = item.rules->identities->emplace_back();
  bob.name = "bob";
  bob.user_name = "bob";
  for (const auto& [others, mine] : {std::pair{"r0", "r1"}, std::pair{"r2", "r1"}, std::pair{"r0", "r2"}}) {
    for (const bool mine_first : {false, true}) {
      auto& assignments = item.rules->role_assignments.emplace();
      assignments = {{.role = others, .identities = {"bob"}}, {.role = mine, .identities = {"app"}}};
      if (mine_first) {
        std::swap(assignments[0], assignments[1]);
      }
      const PolicyRequest request(Service::kImds, "GET", "/ab");
      const Decision decision = decide(caller("alice"), request.view(), snapshot_of(item, Matching::kShadow));
      ASSERT_NE(permit_of(decision), nullptr) << others;
      EXPECT_EQ(permit_of(decision)->names().role, mine);
      EXPECT_EQ(permit_of(decision)->verdicts().canonical,
                mine == std::string_view("r2") ? Verdict::kAllow : Verdict::kDeny)
          << others << ' ' << mine << mine_first;
    }
  }
}

TEST(Engine, UnknownCallersAreDeniedWhateverTheRulesSay) {
  const PolicyRequest request(Service::kImds, "GET", "/x");
  identity::ConnectionIdentity nobody = caller("root", true);
  nobody.known = false;
  EXPECT_EQ(reason_of(decide(nobody, request.view(), Snapshot())), Reason::kNoIdentity);
  EXPECT_EQ(reason_of(decide(nobody, request.view(), snapshot_of(alice_item("disabled")))), Reason::kNoIdentity);
  identity::ConnectionIdentity direct = caller("root", true);
  direct.direct = true;
  EXPECT_EQ(reason_of(decide(direct, request.view(), Snapshot())), Reason::kNoIdentity);
}

TEST(Engine, ARuleLetsItsIdentityThroughAndNamesItself) {
  const PolicyRequest request(Service::kImds, "GET", "/metadata/identity/oauth2/token?resource=x");
  Decision decision = decide(caller("alice"), request.view(), snapshot_of(alice_item()));
  const Permit* permit = permit_of(decision);
  ASSERT_NE(permit, nullptr);
  EXPECT_EQ(permit->ground(), Ground::kRule);
  EXPECT_EQ(permit->names().rule_set_id, "r1");
  EXPECT_EQ(permit->names().privilege, "token");
  EXPECT_EQ(permit->names().role, "reader");
  EXPECT_EQ(permit->names().identity, "app");
  EXPECT_FALSE(permit->audit_only());
  // The snapshot is gone, the names live on.
  const Permit moved = std::move(std::get<Permit>(decision));
  EXPECT_EQ(moved.names().identity, "app");
}

TEST(Engine, AMatchedPrivilegeOfOthersDeniesDespiteAllowByDefault) {
  const PolicyRequest request(Service::kImds, "GET", "/metadata/identity");
  const Decision decision = decide(caller("bob"), request.view(), snapshot_of(alice_item("enforce", "allow")));
  ASSERT_EQ(reason_of(decision), Reason::kIdentityMismatch);
  const Denial& denial = std::get<Denial>(decision);
  EXPECT_EQ(denial.code(), "identity_mismatch");
  EXPECT_EQ(denial.nearest.privilege, "token");
  EXPECT_EQ(denial.nearest.identity, "app");
  EXPECT_EQ(denial.missed_field, "userName");
}

TEST(Engine, TheDefaultDecidesWhatNoPrivilegeMatches) {
  const PolicyRequest request(Service::kImds, "GET", "/metadata/instance");
  const Decision denied = decide(caller("alice"), request.view(), snapshot_of(alice_item()));
  EXPECT_EQ(reason_of(denied), Reason::kNoRule);
  EXPECT_EQ(std::get<Denial>(denied).nearest.privilege, "");
  const Decision allowed = decide(caller("bob"), request.view(), snapshot_of(alice_item("enforce", "allow")));
  ASSERT_NE(permit_of(allowed), nullptr);
  EXPECT_EQ(permit_of(allowed)->ground(), Ground::kDefaultAccess);
}

TEST(Engine, AuditLetsThroughAndSaysWhatItWouldHaveDone) {
  const PolicyRequest request(Service::kImds, "GET", "/metadata/identity");
  const Decision decision = decide(caller("bob"), request.view(), snapshot_of(alice_item("audit")));
  ASSERT_NE(permit_of(decision), nullptr);
  EXPECT_TRUE(permit_of(decision)->audit_only());
  EXPECT_EQ(permit_of(decision)->audit_reason(), Reason::kIdentityMismatch);
}

TEST(Engine, AuditDoesNotSoftenTheElevationGate) {
  const PolicyRequest request(Service::kWireServer, "GET", "/machine?comp=goalstate");
  for (const char* mode : {"audit", "disabled", "enforce"}) {
    EXPECT_EQ(reason_of(decide(caller("bob"), request.view(), snapshot_of(alice_item(mode, "allow")))),
              Reason::kNotElevated);
  }
}

TEST(Engine, ExemptRequestsOfRootNeedNoRule) {
  const PolicyRequest request(Service::kHostGaPlugin, "PUT", "/vmAgentLog", true);
  const Decision root = decide(caller("root", true), request.view(), snapshot_of(alice_item()));
  ASSERT_NE(permit_of(root), nullptr);
  EXPECT_EQ(permit_of(root)->ground(), Ground::kExempt);
  EXPECT_TRUE(permit_of(root)->exempt());
  EXPECT_EQ(reason_of(decide(caller("bob"), request.view(), snapshot_of(alice_item()))), Reason::kNotElevated);
  const PolicyRequest same(Service::kHostGaPlugin, "PUT", "/vmAgentLog");
  EXPECT_EQ(reason_of(decide(caller("root", true), same.view(), snapshot_of(alice_item()))), Reason::kNoRule);
}

TEST(Engine, UnusableRulesDenyEverybody) {
  Snapshot snapshot;
  snapshot.rules.fill(RuleSet::deny_all("r9", "line 3: no"));
  const PolicyRequest request(Service::kImds, "GET", "/x");
  const Decision decision = decide(caller("root", true), request.view(), snapshot);
  ASSERT_EQ(reason_of(decision), Reason::kRulesUnusable);
  EXPECT_EQ(std::get<Denial>(decision).nearest.rule_set_id, "r9");
  EXPECT_EQ(std::get<Denial>(decision).rules->unusable(), "line 3: no");
}

TEST(Engine, EnforceRefusesWhatHasNoCanonicalFormAndTheOtherModesTolerateIt) {
  const PolicyRequest request(Service::kImds, "GET", "/metadata/%zz");
  const Decision strict = decide(caller("alice"), request.view(), Snapshot());
  ASSERT_EQ(reason_of(strict), Reason::kNotCanonical);
  EXPECT_EQ(std::get<Denial>(strict).code(), "canon_pct");
  for (const Matching matching : {Matching::kOff, Matching::kShadow}) {
    Snapshot snapshot;
    snapshot.matching = matching;
    EXPECT_NE(permit_of(decide(caller("alice"), request.view(), snapshot)), nullptr);
  }
}

TEST(Engine, ACanonicalFormThatWasNeverMadeIsNotTheRoot) {
  RequestView view{.service = Service::kImds, .path = "/metadata/identity", .query = ""};
  EXPECT_EQ(reason_of(decide(caller("alice"), view, Snapshot())), Reason::kNotCanonical);
  view.fault = request::Fault::kPathTraversal;
  Snapshot tolerant;
  tolerant.matching = Matching::kOff;
  const Decision decision = decide(caller("alice"), view, tolerant);
  ASSERT_EQ(reason_of(decision), Reason::kNotCanonical);
  EXPECT_EQ(std::get<Denial>(decision).code(), "path_traversal");
}

TEST(Engine, TheMatchingModeChoosesWhoDecidesAndDivergenceIsSeen) {
  // Legacy compares characters, canonical compares segments (protocol.md E.6).
  const PolicyRequest request(Service::kImds, "GET", "/metadata/identityx");
  const auto run = [&](Matching matching) {
    return decide(caller("alice"), request.view(), snapshot_of(alice_item(), matching));
  };
  const Decision off = run(Matching::kOff);
  ASSERT_NE(permit_of(off), nullptr);
  EXPECT_EQ(permit_of(off)->verdicts().canonical, Verdict::kNotRun);
  EXPECT_FALSE(permit_of(off)->verdicts().diverge());
  const Decision shadow = run(Matching::kShadow);
  ASSERT_NE(permit_of(shadow), nullptr);
  EXPECT_TRUE(permit_of(shadow)->verdicts().diverge());
  const Decision enforce = run(Matching::kEnforce);
  ASSERT_EQ(reason_of(enforce), Reason::kNoRule);
  EXPECT_TRUE(std::get<Denial>(enforce).verdicts.diverge());
}

TEST(Engine, AUserWithoutNameIsNobodyInParticular) {
  const PolicyRequest request(Service::kImds, "GET", "/metadata/identity");
  for (const char* name : {"undefined", ""}) {
    RuleItem item = alice_item();
    item.rules->identities->front().user_name = name;
    for (const Matching matching : {Matching::kOff, Matching::kEnforce}) {
      EXPECT_EQ(reason_of(decide(caller(name), request.view(), snapshot_of(item, matching))),
                Reason::kIdentityMismatch);
    }
  }
}

}  // namespace
}  // namespace msp::policy
