// SPDX-License-Identifier: Apache-2.0
#include "policy/ruleset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "policy/engine.h"
#include "tests/support/policy_request.h"
#include "tests/support/rapidcheck.h"

namespace msp::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

RuleItem empty_item(std::string mode = "enforce") {
  RuleItem item{.default_access = "deny", .mode = std::move(mode), .id = "r", .rules = RuleSections()};
  item.rules->privileges.emplace();
  item.rules->roles.emplace();
  item.rules->identities.emplace();
  item.rules->role_assignments.emplace();
  return item;
}

RuleIdentity user(std::string name) {
  RuleIdentity out;
  out.name = name;
  out.user_name = std::move(name);
  return out;
}

TEST(RuleSet, ModesAreReadAsTheMatchingSays) {
  EXPECT_EQ(RuleSet::compile(empty_item("Audit"), Matching::kEnforce)->mode(), Mode::kAudit);
  EXPECT_EQ(RuleSet::compile(empty_item("DISABLED"), Matching::kEnforce)->mode(), Mode::kDisabled);
  EXPECT_THAT(RuleSet::compile(empty_item("enforce"), Matching::kEnforce)->notes(), IsEmpty());
  for (const char* odd : {"strict", "", " enforce", "disabled "}) {
    EXPECT_EQ(RuleSet::compile(empty_item(odd), Matching::kEnforce)->mode(), Mode::kEnforce);
    EXPECT_EQ(RuleSet::compile(empty_item(odd), Matching::kShadow)->mode(), Mode::kEnforce);
    EXPECT_EQ(RuleSet::compile(empty_item(odd), Matching::kOff)->mode(), Mode::kDisabled);
    EXPECT_THAT(RuleSet::compile(empty_item(odd), Matching::kEnforce)->notes(), ElementsAre(HasSubstr("unknown")));
  }
}

TEST(RuleSet, OneMissingSectionDisablesAll) {
  RuleItem item = empty_item();
  item.rules->privileges->push_back({.name = "p", .path = "/", .query_parameters = {}});
  EXPECT_EQ(RuleSet::compile(item, Matching::kEnforce)->privileges().size(), 1U);
  item.rules->identities.reset();
  const auto set = RuleSet::compile(item, Matching::kEnforce);
  EXPECT_THAT(set->privileges(), IsEmpty());
  EXPECT_THAT(set->notes(), ElementsAre(HasSubstr("missing")));
}

TEST(RuleSet, OfRepeatedNamesTheLastCounts) {
  RuleItem item = empty_item();
  item.rules->privileges = {
      {{.name = "p", .path = "/a", .query_parameters = {}}, {.name = "p", .path = "/b", .query_parameters = {}}}};
  item.rules->roles = {{{.name = "r", .privileges = {}}, {.name = "r", .privileges = {"p", "p"}}}};
  item.rules->identities = {{user("x"), user("x")}};
  item.rules->identities->back().user_name = "y";
  item.rules->role_assignments = {{{.role = "r", .identities = {"x", "x"}}, {.role = "gone", .identities = {"x"}}}};
  const auto set = RuleSet::compile(item, Matching::kEnforce);
  ASSERT_EQ(set->privileges().size(), 1U);
  EXPECT_THAT(set->privileges()[0].roles, ElementsAre(0));
  ASSERT_EQ(set->roles().size(), 1U);
  EXPECT_THAT(set->roles()[0].identities, ElementsAre(1));
  EXPECT_THAT(set->notes(), ElementsAre(HasSubstr("\"gone\""), HasSubstr("\"p\"")));
}

TEST(RuleSet, OfQueryKeysThatFoldAlikeTheSameCountsInAnyOrder) {
  RuleItem item = empty_item();
  item.rules->privileges = {{{.name = "a", .path = "/", .query_parameters = {{"K", "v"}, {"k", "w"}}},
                             {.name = "b", .path = "/", .query_parameters = {{"k", "w"}, {"K", "v"}}}}};
  const auto set = RuleSet::compile(item, Matching::kEnforce);
  for (const Privilege& privilege : set->privileges()) {
    EXPECT_THAT(privilege.legacy_query, ElementsAre(std::pair<std::string, std::string>("k", "w")));
  }
}

TEST(RuleSet, APrivilegeWithoutCanonicalFormIsNoted) {
  RuleItem item = empty_item();
  item.rules->privileges = {{{.name = "bad", .path = "/a%zz", .query_parameters = {}}}};
  EXPECT_THAT(RuleSet::compile(item, Matching::kEnforce)->notes(), ElementsAre(HasSubstr("CANON_PCT")));
}

TEST(RuleSet, PathsAreFoldedBeforeTheirCanonicalFormIsMade) {
  // The Kelvin sign folds to an ASCII letter, so that its path has a canonical form (protocol.md E.2.5, E.2.7).
  RuleItem item = empty_item();
  item.rules->privileges->push_back({.name = "p", .path = "/\u212Aey", .query_parameters = {}});
  EXPECT_THAT(RuleSet::compile(item, Matching::kEnforce)->notes(), IsEmpty());
  item.rules->privileges->front().path = "/\u00C9";
  EXPECT_THAT(RuleSet::compile(item, Matching::kEnforce)->notes(), ElementsAre(HasSubstr("canonical")));
}

TEST(RuleSet, NotesAreBounded) {
  RuleItem item = empty_item();
  for (int i = 0; i < 1000; ++i) {
    item.rules->role_assignments->push_back({.role = "gone", .identities = {}});
  }
  EXPECT_EQ(RuleSet::compile(item, Matching::kEnforce)->notes().size(), 100U);
}

TEST(RuleSet, TellsTheExecutablesThatItAsksFor) {
  RuleItem item = empty_item();
  for (const char* path : {"/b", "/a", "/b"}) {
    item.rules->identities->push_back(user("i"));
    item.rules->identities->back().exe_path = path;
  }
  item.rules->identities->push_back(user("j"));
  EXPECT_THAT(RuleSet::compile(item, Matching::kEnforce)->exe_paths(), ElementsAre("/a", "/b"));
}

/// Every privilege has its own role; identity i is user "u<i>".
RuleItem random_item(const std::vector<std::pair<int, int>>& grants) {
  static const char* const kPaths[] = {"/", "/a", "/a/", "/a/b", "/A/B/c", "/ab", "a", ""};
  RuleItem item = empty_item();
  for (std::size_t i = 0; i < grants.size(); ++i) {
    const std::string index = std::to_string(i);
    item.rules->privileges->push_back({.name = "p" + index, .path = kPaths[grants[i].first], .query_parameters = {}});
    item.rules->roles->push_back({.name = "r" + index, .privileges = {"p" + index}});
    item.rules->identities->push_back(user("u" + index));
    item.rules->identities->back().user_name = "u" + std::to_string(grants[i].second);
    item.rules->role_assignments->push_back({.role = "r" + index, .identities = {"u" + index}});
  }
  return item;
}

TEST(RuleSet, TheOrderOfRulesPlaysNoPart) {
  EXPECT_TRUE(rc::check("a decision does not depend on the order of rules", [] {
    const auto grant = rc::gen::pair(rc::gen::inRange(0, 8), rc::gen::inRange(0, 3));
    auto grants = *rc::gen::container<std::vector<std::pair<int, int>>>(grant);
    const auto* path = *rc::gen::element("/", "/a", "/a/b/c", "/abc", "/A/b", "/x");
    const auto matching = *rc::gen::element(Matching::kOff, Matching::kShadow, Matching::kEnforce);
    const test::PolicyRequest request(Service::kImds, "GET", path);
    identity::ConnectionIdentity caller;
    caller.known = true;
    caller.user_name = "u" + std::to_string(*rc::gen::inRange(0, 4));
    const auto allowed = [&] {
      Snapshot snapshot;
      snapshot.matching = matching;
      snapshot.rules.fill(RuleSet::compile(random_item(grants), matching));
      return std::holds_alternative<Permit>(decide(caller, request.view(), snapshot));
    };
    const bool forward = allowed();
    std::ranges::reverse(grants);
    RC_ASSERT(allowed() == forward);
  }));
}

}  // namespace
}  // namespace msp::policy
