// SPDX-License-Identifier: Apache-2.0
#include "rules/local_rules.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "policy/ruleset.h"
#include "tests/vectors/golden.h"

namespace msp::rules {
namespace {

TEST(LocalRulesVectors, IdDescriptors) {
  const json::Value document = golden::load("local_rules.json");
  ASSERT_EQ(golden::list(document, "ids").size(), 16U);
  for (const json::Value& vector : golden::list(document, "ids")) {
    SCOPED_TRACE(golden::text(vector, "name"));
    const IdDescriptor got = describe_id(golden::text(vector, "raw_id"));
    const json::Value& expect = *vector.find("expect");
    EXPECT_EQ(got.logical_id, golden::text(expect, "logical_id"));
    EXPECT_EQ(got.use_local_file_rules, golden::flag(expect, "use_local_file_rules"));
    EXPECT_EQ(got.effective_id, golden::text(expect, "effective_id"));
  }
}

TEST(LocalRulesVectors, Files) {
  const json::Value document = golden::load("local_rules.json");
  ASSERT_EQ(golden::list(document, "files").size(), 36U);
  for (const json::Value& vector : golden::list(document, "files")) {
    SCOPED_TRACE(golden::text(vector, "name"));
    auto file = parse_local_rules(golden::text(vector, "file_text"));
    const std::string got = !file ? "parse" : validate(*file) ? "ok" : "invalid";
    EXPECT_EQ(got, golden::text(vector, "expect"));
  }
}

TEST(LocalRulesVectors, Merges) {
  const json::Value document = golden::load("local_rules.json");
  ASSERT_EQ(golden::list(document, "merges").size(), 15U);
  for (const json::Value& vector : golden::list(document, "merges")) {
    SCOPED_TRACE(golden::text(vector, "name"));
    auto host = parse_rule_item(json::to_text(*vector.find("remote")), Source::kHost);
    auto expect = parse_rule_item(json::to_text(*vector.find("expect")), Source::kHost);
    ASSERT_TRUE(host && expect);
    LocalRules local{.state = LocalRules::State::kFailed};
    if (const json::Value& file = *vector.find("local"); !file.is_null()) {
      auto parsed = parse_local_rules(json::to_text(file));
      ASSERT_TRUE(parsed);
      local = {.state = LocalRules::State::kValid, .file = *parsed};
    }
    // As the vectors give the logical id only, the raw text of an item without one stays.
    const std::string logical = golden::text(vector, "logical_id");
    const IdDescriptor id{.logical_id = logical,
                          .use_local_file_rules = true,
                          .effective_id = logical.empty() ? host->id : logical + "-useLocalFileRules-true"};
    EXPECT_EQ(merge(*host, id, local), *expect);
  }
}

TEST(LocalRules, AMissingFileLeavesTheHostsItem) {
  const RuleItem host{.default_access = "allow", .mode = "audit", .id = "r", .rules = RuleSections()};
  RuleItem expect = host;
  expect.id = "r-useLocalFileRules-true";
  EXPECT_EQ(merge(host, {.logical_id = "r", .use_local_file_rules = true, .effective_id = expect.id}, {}), expect);
}

TEST(LocalRules, AByteOrderMarkIsTolerated) { EXPECT_TRUE(parse_local_rules("\xef\xbb\xbf{\"id\":\"x\"}")); }

TEST(LocalRules, AnIdentityMayBeAPlaceAlone) {
  const auto valid = [](const char* identity) {
    auto file = parse_local_rules(R"({"rules":{"identities":[)" + std::string(identity) + "]}}");
    return file && validate(*file);
  };
  EXPECT_TRUE(valid(R"({"name":"i","openmsp":{"unit":"a.service"}})"));
  EXPECT_FALSE(valid(R"({"name":"i","openmsp":{}})"));
}

TEST(LocalRules, ProblemsOfOurOwnFieldsSurviveEveryMerge) {
  constexpr const char* kBad = R"({"rules":{"identities":[{"name":"i","userName":"u","openmsp":{"unit":"x"}}]}})";
  auto file = parse_local_rules(kBad);
  ASSERT_TRUE(file && validate(*file));
  const LocalRules local{.state = LocalRules::State::kValid, .file = *file};
  const IdDescriptor id{.logical_id = "r", .use_local_file_rules = true, .effective_id = "r"};
  RuleItem host{.default_access = "allow", .mode = "audit", .id = "r", .rules = std::nullopt};
  for (const bool with_rules : {false, true}) {
    if (with_rules) {
      host.rules.emplace();
      host.rules->problems = {"/authorizationRules/imds/rules/openmsp: is not known here"};
    }
    const std::vector<std::string> refused =
        policy::RuleSet::refusals(merge(host, id, local), policy::Matching::kEnforce);
    ASSERT_EQ(refused.size(), with_rules ? 2U : 1U);
    EXPECT_TRUE(refused[0].starts_with("local rule file: /rules/identities/0/openmsp/unit at line 1, column "));
  }
  // A file that fails takes the host's rules with it, but not what closes them altogether.
  const RuleItem failed = merge(host, id, {.state = LocalRules::State::kFailed});
  EXPECT_FALSE(failed.rules);
  EXPECT_EQ(policy::RuleSet::refusals(failed, policy::Matching::kEnforce).size(), 1U);
  // Nor is what the file itself says of ours lost with what else is wrong in it: as an identity's only field, or
  // beside a fault of its form.
  for (const char* text : {R"({"rules":{"identities":[{"name":"i","openmsp":{"unti":"a.service"}}]}})",
                           R"({"rules":{"identities":[{"name":"i","openmsp":{"unti":"a"}}],"roles":[{"name":1}]}})"}) {
    std::vector<std::string> problems;
    const auto bad = parse_local_rules(text, &problems);
    ASSERT_FALSE(bad && validate(*bad));
    const LocalRules broken{.state = LocalRules::State::kFailed, .problems = bad ? problems_of(*bad) : problems};
    host.rules.reset();
    const auto refused = policy::RuleSet::refusals(merge(host, id, broken), policy::Matching::kEnforce);
    ASSERT_EQ(refused.size(), 1U) << text;
    EXPECT_TRUE(refused[0].starts_with("local rule file: /rules/identities/0/openmsp/unti at line 1")) << refused[0];
  }
  host.rules.emplace();
  host.rules->problems = {"/openmsp: x"};
  const RuleItem good = merge(host, id, {});
  EXPECT_EQ(policy::RuleSet::refusals(good, policy::Matching::kEnforce).size(), 1U);
}

TEST(LocalRules, TheErrorNamesWhatIsWrong) {
  auto file = parse_local_rules(R"({"rules":{"roles":[{"name":"r","privileges":["gone"]}]}})");
  ASSERT_TRUE(file);
  auto valid = validate(*file);
  ASSERT_FALSE(valid);
  EXPECT_NE(valid.error().text().find("\"gone\", which does not exist"), std::string::npos) << valid.error().text();
}

TEST(LocalRules, AllThatIsWrongIsToldAtOnceWithItsPlace) {
  const auto file = parse_local_rules(R"({"id":" ","defaultAccess":"allowed","rules":{
    "privileges":[{"name":" ","path":"/a"},{"name":"p","path":" ","queryParameters":{"":"x","k/2":" "}},
                  {"name":"p","path":"/b"}],
    "roles":[{"name":"r","privileges":[]},{"name":"r2","privileges":["p","p","zz"," "]}],
    "identities":[{"name":"i","userName":" "}],
    "roleAssignments":[{"role":"rr","identities":["i","i","qq"]},{"role":" ","identities":[]}]}})");
  ASSERT_TRUE(file);
  json::Misfits misfits;
  check_local_rules(*file, misfits);
  std::vector<std::string> pointers;
  for (const json::Misfits::Misfit& misfit : misfits.list()) {
    pointers.push_back(misfit.pointer);
  }
  EXPECT_EQ(pointers, (std::vector<std::string>{
                          "/defaultAccess", "/id", "/rules/privileges/0/name", "/rules/privileges/2/name",
                          "/rules/privileges/1/path", "/rules/privileges/1/queryParameters/",
                          "/rules/privileges/1/queryParameters/k~12", "/rules/roles/0/privileges",
                          "/rules/roles/1/privileges/1", "/rules/roles/1/privileges/2", "/rules/roles/1/privileges/3",
                          "/rules/identities/0", "/rules/roleAssignments/0/role",
                          "/rules/roleAssignments/0/identities/1", "/rules/roleAssignments/0/identities/2",
                          "/rules/roleAssignments/1/role", "/rules/roleAssignments/1/identities"}));
  const std::string told = validate(*file).error().text();
  EXPECT_NE(told.find("17 problems: /defaultAccess: "), std::string::npos) << told;
  EXPECT_NE(told.find("/rules/roleAssignments/1/identities: the list names nothing"), std::string::npos) << told;
}

TEST(LocalRules, WhatIsToldIsBounded) {
  const std::string tail = std::string(5000, 'x') + R"(é","privileges":[]})";
  std::string roles = R"({"name":"0)" + tail;
  for (int i = 1; i < 30; ++i) {
    roles += R"(,{"name":")" + std::to_string(i) + tail;
  }
  const std::string again = R"({"rules":{"roles":[)" + roles + "," + roles + "]}}";
  const std::string told = validate(*parse_local_rules(again)).error().text();
  EXPECT_LT(told.size(), 5000U);
  EXPECT_NE(told.find("; and 70 more"), std::string::npos) << told;
}

}  // namespace
}  // namespace msp::rules
