// SPDX-License-Identifier: Apache-2.0
#include "policy/rule_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace msp::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Pairs = std::vector<std::pair<std::string, std::string>>;
using Rules = std::vector<std::vector<RequiredQuery>>;

/// All of them under the path "/a".
RuleIndex index_of(const Rules& rules) {
  PrefixIndex::Paths paths;
  for (std::uint32_t i = 0; i < rules.size(); ++i) {
    paths["/a"].push_back(i);
  }
  return RuleIndex(std::move(paths), [&](std::uint32_t i) { return rules[i]; });
}

std::set<std::uint32_t> found(const RuleIndex& index, std::string_view path, const Pairs& pairs) {
  std::set<std::uint32_t> out;
  index.any(
      path,
      [&](auto f) { return std::ranges::any_of(pairs, [&](const auto& pair) { return f(pair.first, pair.second); }); },
      [&](std::uint32_t rule) {
        out.insert(rule);
        return false;
      });
  return out;
}

/// `count` rules that demand the same version, and resource "r<number>" each.
Rules many(int count) {
  Rules rules;
  for (int i = 0; i < count; ++i) {
    rules.push_back({{.key = "version", .values = {"1"}}, {.key = "resource", .values = {"r" + std::to_string(i)}}});
  }
  return rules;
}

TEST(RuleIndex, FewAreAllFound) {
  const RuleIndex index = index_of(many(3));
  EXPECT_THAT(found(index, "/a/b", {}), ElementsAre(0, 1, 2));
  EXPECT_THAT(found(index, "/b", {{"version", "1"}}), IsEmpty());
}

TEST(RuleIndex, OfManyThoseThatTheQueryMayMeet) {
  const RuleIndex index = index_of(many(1000));
  EXPECT_THAT(found(index, "/a/b", {{"version", "1"}, {"resource", "r700"}}), ElementsAre(700));
  EXPECT_THAT(found(index, "/a", {{"resource", "r7"}, {"resource", "r8"}}), ElementsAre(7, 8));
  EXPECT_THAT(found(index, "/a", {{"version", "1"}, {"resource", "other"}}), IsEmpty());
  EXPECT_THAT(found(index, "/a", {}), IsEmpty());
}

TEST(RuleIndex, ThoseThatDemandNothingAreAlwaysFound) {
  Rules rules = many(100);
  rules[50].clear();
  EXPECT_THAT(found(index_of(rules), "/a", {{"resource", "r3"}}), ElementsAre(3, 50));
}

TEST(RuleIndex, AnyOfTheValuesOfAKeyFindsARule) {
  Rules rules = many(100);
  rules[50] = {{.key = "resource", .values = {"x", "y", "y"}}};
  for (const char* const value : {"x", "y"}) {
    EXPECT_THAT(found(index_of(rules), "/a", {{"resource", value}}), ElementsAre(50));
  }
}

TEST(RuleIndex, OfAGridTheOneThatStandsAtBothValues) {
  Rules rules;
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 100; ++j) {
      rules.push_back(
          {{.key = "version", .values = {std::to_string(i)}}, {.key = "resource", .values = {std::to_string(j)}}});
    }
  }
  rules.push_back({{.key = "version", .values = {"7"}}});
  const RuleIndex index = index_of(rules);
  EXPECT_THAT(found(index, "/a", {{"version", "7"}, {"resource", "9"}}), ElementsAre(709, 10000));
  EXPECT_THAT(found(index, "/a", {{"version", "7"}, {"resource", "none"}}), ElementsAre(10000));
  // Of few, those that miss a demand may be found, too.
  EXPECT_THAT(found(index, "/a", {{"version", "none"}, {"resource", "9"}}), testing::SizeIs(testing::Le(4)));
}

TEST(RuleIndex, StopsWhereItIsTold) {
  const RuleIndex index = index_of(many(100));
  int visits = 0;
  const auto pairs = [](auto f) { return f("resource", "r1") || f("resource", "r2"); };
  EXPECT_TRUE(index.any("/a", pairs, [&](std::uint32_t) { return ++visits == 1; }));
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace msp::policy
