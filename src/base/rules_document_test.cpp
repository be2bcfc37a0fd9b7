// SPDX-License-Identifier: Apache-2.0
#include "base/rules_document.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/vectors/golden.h"

namespace msp {
namespace {

std::string written(const RuleItem& item) {
  json::Writer writer;
  write_rule_item(writer, item);
  return std::move(writer).take();
}

/// Why the text is refused; empty if it is not.
std::string refusal(std::string_view text) {
  const Result<RuleItem> item = parse_rule_item(text, Source::kHost);
  if (!item) {
    EXPECT_EQ(item.error().source, Source::kHost);
  }
  return item ? std::string() : item.error().message;
}

std::string with_rules(std::string_view rules) {
  return R"({"defaultAccess":"allow","mode":"audit","id":"x","rules":)" + std::string(rules) + "}";
}

TEST(RulesDocument, EveryRuleOfTheVectorsIsWrittenAsItWasRead) {
  const json::Value file = golden::load("authorization.json");
  std::size_t checked = 0;
  for (const json::Value& vector : golden::list(file, "vectors")) {
    const json::Value* const rules = vector.find("rules");
    if (rules == nullptr || rules->is_null()) {
      continue;
    }
    SCOPED_TRACE(golden::text(vector, "name"));
    const Result<RuleItem> item = parse_rule_item(json::to_text(*rules), Source::kHost);
    ASSERT_TRUE(item) << item.error().text();
    const Result<RuleItem> again = parse_rule_item(written(*item), Source::kHost);
    ASSERT_TRUE(again) << again.error().text();
    EXPECT_EQ(*again, *item);
    ++checked;
  }
  EXPECT_GT(checked, 180u);
}

TEST(RulesDocument, TheSizeInWritingIsKnownBefore) {
  const json::Value file = golden::load("authorization.json");
  for (const json::Value& vector : golden::list(file, "vectors")) {
    const json::Value* const rules = vector.find("rules");
    if (rules != nullptr && !rules->is_null()) {
      const RuleItem item = *parse_rule_item(json::to_text(*rules), Source::kHost);
      EXPECT_GE(written_size(item), written(item).size()) << golden::text(vector, "name");
    }
  }
  RuleItem all{.default_access = "\"", .mode = "\n\\", .id = "\x01\x7f", .rules = RuleSections()};
  const std::string text = "\"\\\n\x01é";
  all.rules->privileges = {{.name = text, .path = text, .query_parameters = {{text, text}}, .openmsp = {{text, text}}}};
  all.rules->roles = {{.name = text, .privileges = {text, text}}};
  all.rules->identities = {{.name = text,
                            .user_name = text,
                            .group_name = text,
                            .exe_path = text,
                            .process_name = text,
                            .openmsp = {.unit = text, .cgroup = text, .container = text, .exe_sha256 = text}}};
  all.rules->role_assignments = {{.role = text, .identities = {text}, .openmsp = {.deny = true, .dry_run = true}}};
  all.rules->privileges->resize(500, all.rules->privileges->front());
  all.rules->identities->resize(500, all.rules->identities->front());
  all.rules->role_assignments->resize(500, all.rules->role_assignments->front());
  all.problems = {"x"};
  all.rules->problems = {"x"};
  EXPECT_GE(written_size(all), written(all).size());
  EXPECT_LT(written_size(all), 2 * written(all).size());
}

// Monitor and worker: what one has taken, the other takes, whatever it has grown to (local rules are added to it).
TEST(RulesDocument, WhatWasWrittenIsReadWithoutLimits) {
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "x", .rules = RuleSections()};
  item.rules->privileges.emplace();
  for (int i = 0; i < 450'000; ++i) {
    item.rules->privileges->push_back({.name = "p", .path = "/p", .query_parameters = {{"a", "b"}}});
  }
  const std::string text = written(item);
  EXPECT_FALSE(parse_rule_item(text, Source::kHost)) << "more values than any text may have";
  const auto again = read_written_item(text);
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_EQ(*again, item);
}

TEST(RulesDocument, ALongQueryIsReadAsAShortOne) {
  std::string query;
  for (int i = 0; i < 100'000; ++i) {
    query += R"("k)" + std::to_string(i % 60'000) + R"(":")" + std::to_string(i) + "\",";
  }
  const auto item = parse_rule_item(
      with_rules(R"({"privileges":[{"name":"p","path":"/p","queryParameters":{)" + query + R"("z":""}}]})"),
      Source::kHost);
  ASSERT_TRUE(item) << item.error().text();
  const auto& read = item->rules->privileges->front().query_parameters;
  ASSERT_EQ(read.size(), 60'001U);
  EXPECT_EQ(read[0], (std::pair<std::string, std::string>("k0", "60000")));
  EXPECT_EQ(read[59'999], (std::pair<std::string, std::string>("k59999", "59999")));
}

TEST(RulesDocument, AbsentNullAndEmptySections) {
  const auto item = parse_rule_item(with_rules(R"({"privileges":[],"roles":null,"identities":[]})"), Source::kHost);
  ASSERT_TRUE(item && item->rules);
  EXPECT_TRUE(item->rules->privileges && item->rules->privileges->empty());
  EXPECT_FALSE(item->rules->roles);
  EXPECT_FALSE(item->rules->role_assignments);
  EXPECT_EQ(written(*item), with_rules(R"({"privileges":[],"identities":[]})"));
  EXPECT_FALSE(parse_rule_item(with_rules("null"), Source::kHost)->rules);
}

TEST(RulesDocument, OfARepeatedQueryKeyTheLastValueStays) {
  const auto item = parse_rule_item(
      with_rules(R"({"privileges":[{"name":"p","path":"/","queryParameters":{"a":"1","b":"2","a":"3"}}]})"),
      Source::kHost);
  ASSERT_TRUE(item);
  const RulePrivilege& privilege = item->rules->privileges->at(0);
  ASSERT_EQ(privilege.query_parameters.size(), 2u);
  EXPECT_EQ(privilege.query_parameters[0], std::pair(std::string("a"), std::string("3")));
  EXPECT_EQ(privilege.query_parameters[1], std::pair(std::string("b"), std::string("2")));
}

TEST(RulesDocument, AnIdentityKeepsWhatIsAbsentApartFromWhatIsEmpty) {
  const auto item = parse_rule_item(
      with_rules(R"({"identities":[{"name":"i","userName":"","groupName":null,"more":[{"x":1}]}]})"), Source::kHost);
  ASSERT_TRUE(item);
  const RuleIdentity& identity = item->rules->identities->at(0);
  EXPECT_EQ(identity.user_name, std::optional(std::string()));
  EXPECT_EQ(identity.group_name, std::nullopt);
}

TEST(RulesDocument, RefusalsNameThePlace) {
  EXPECT_EQ(refusal(with_rules("{}")), "");
  EXPECT_NE(refusal("[]").find("expected an object"), std::string::npos);
  EXPECT_NE(refusal(R"({"mode":"audit","id":"x"})").find("/defaultAccess: the member is missing"), std::string::npos);
  EXPECT_NE(refusal(R"({"defaultAccess":"a","mode":"b","id":"c","id":"c"})").find("/id: the member occurs twice"),
            std::string::npos);
  EXPECT_NE(refusal(with_rules(R"({"roles":[{"name":"r","privileges":["p",3]}]})")).find("/rules/roles/0/privileges"),
            std::string::npos);
  EXPECT_NE(refusal(with_rules(R"({"privileges":{}})")).find("/rules/privileges"), std::string::npos);
  EXPECT_NE(
      refusal(with_rules(R"({"privileges":[{"name":"p","path":"/","queryParameters":{"a":1}}]})")).find("a value is"),
      std::string::npos);
  EXPECT_NE(refusal("{").find("line 1"), std::string::npos);
}

TEST(RulesDocument, AllThatIsWrongIsToldAtOnceAndNothingTwice) {
  EXPECT_EQ(refusal(R"({"mode":7,"id":"c","id":"d","rules":{"privileges":[{"name":3,"path":"/"},5],"roles":[{}]}})"),
            "the rule item is refused: 7 problems: /defaultAccess: the member is missing or null; "
            "/mode: expected a string, found a whole number; /id: the member occurs twice; "
            "/rules/privileges/0/name: expected a string, found a whole number; "
            "/rules/privileges/1: expected an object, found a whole number; "
            "/rules/roles/0/name: the member is missing or null; "
            "/rules/roles/0/privileges: the member is missing or null");
}

TEST(RulesDocument, OfVeryManyProblemsTheFirstAreTold) {
  std::string privileges;
  for (int i = 0; i < 50; ++i) {
    privileges += i == 0 ? "1" : ",1";
  }
  const std::string text = refusal(with_rules(R"({"privileges":[)" + privileges + "]}"));
  EXPECT_NE(text.find("50 problems: /rules/privileges/0: "), std::string::npos) << text;
  EXPECT_NE(text.find("/rules/privileges/19: "), std::string::npos) << text;
  EXPECT_EQ(text.find("/rules/privileges/20: "), std::string::npos) << text;
  EXPECT_NE(text.find("; and 30 more"), std::string::npos) << text;
}

TEST(RulesDocument, LocalFilesHaveNoRequiredMember) {
  json::Misfits misfits;
  const LocalRuleFile empty = read_local_rule_file(*json::parse("{}"), misfits);
  EXPECT_EQ(empty, LocalRuleFile());
  const LocalRuleFile file =
      read_local_rule_file(*json::parse(R"({"id":"l","defaultAccess":"deny","mode":7,"rules":{}})"), misfits);
  EXPECT_EQ(file.id, "l");
  EXPECT_EQ(file.default_access, "deny");
  EXPECT_TRUE(file.rules);
  EXPECT_FALSE(misfits.any());
  (void)read_local_rule_file(*json::parse(R"({"id":1})"), misfits);
  EXPECT_TRUE(misfits.any());
}

}  // namespace
}  // namespace msp
