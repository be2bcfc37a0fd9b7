// SPDX-License-Identifier: Apache-2.0
#include "rules/local_rules.h"

#include <gtest/gtest.h>

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

TEST(LocalRules, TheErrorNamesWhatIsWrong) {
  auto file = parse_local_rules(R"({"rules":{"roles":[{"name":"r","privileges":["gone"]}]}})");
  ASSERT_TRUE(file);
  auto valid = validate(*file);
  ASSERT_FALSE(valid);
  EXPECT_NE(valid.error().text().find("\"gone\", which does not exist"), std::string::npos) << valid.error().text();
}

}  // namespace
}  // namespace msp::rules
