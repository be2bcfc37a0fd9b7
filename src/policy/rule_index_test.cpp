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
  EXPECT_THAT(found(index, "/a", {{"version", "1"}, {"resource", "r7"}, {"resource", "r8"}}), ElementsAre(7, 8));
  EXPECT_THAT(found(index, "/a", {{"resource", "r7"}, {"resource", "r8"}}), IsEmpty());
  EXPECT_THAT(found(index, "/a", {{"version", "1"}, {"resource", "other"}}), IsEmpty());
  EXPECT_THAT(found(index, "/a", {}), IsEmpty());
}

TEST(RuleIndex, ThoseThatDemandNothingAreAlwaysFound) {
  Rules rules = many(100);
  rules[50].clear();
  EXPECT_THAT(found(index_of(rules), "/a", {{"version", "1"}, {"resource", "r3"}}), ElementsAre(3, 50));
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

/// Each pair as often as it is there, as a hostile client may send them; counts what it is asked.
struct CountingPairs {
  const Pairs& pairs;
  int& asked;

  template <class F>
  bool operator()(F f) const {
    return std::ranges::any_of(pairs, [&](const auto& pair) {
      ++asked;
      return f(pair.first, pair.second);
    });
  }
  std::size_t count() const { return pairs.size(); }
  bool has(std::string_view key, std::string_view value) const {
    ++asked;
    return std::ranges::any_of(pairs, [&](const auto& pair) { return pair.first == key && pair.second == value; });
  }
  std::size_t count(std::string_view key) const {
    ++asked;
    return static_cast<std::size_t>(std::ranges::count(pairs, key, &Pairs::value_type::first));
  }
  template <class F>
  bool any_value(std::string_view key, F f) const {
    return std::ranges::any_of(pairs, [&](const auto& pair) { return pair.first == key && (++asked, f(pair.second)); });
  }
};

struct Cost {
  int asked = 0;                       ///< of the query
  std::vector<std::uint32_t> visited;  ///< rules
};

Cost cost_of(const RuleIndex& index, const Pairs& pairs) {
  Cost out;
  index.any("/a", CountingPairs{pairs, out.asked}, [&](std::uint32_t rule) {
    out.visited.push_back(rule);
    return false;
  });
  return out;
}

/// A grid of `side` values of the keys x and y, all of which a client repeats.
Rules grid(int side, const std::vector<RequiredQuery>& more) {
  Rules rules;
  for (int i = 0; i < side * side; ++i) {
    std::vector<RequiredQuery>& rule = rules.emplace_back(more);
    rule.push_back({.key = "x", .values = {std::to_string(i % side)}});
    rule.push_back({.key = "y", .values = {std::to_string(i / side)}});
  }
  return rules;
}
Pairs all_of_grid(int side) {
  Pairs pairs;
  for (int i = 0; i < side; ++i) {
    pairs.emplace_back("x", std::to_string(i));
    pairs.emplace_back("y", std::to_string(i));
  }
  return pairs;
}

TEST(RuleIndex, WithoutWhatAllOfThemDemandNothingBelowIsAskedFor) {
  const RuleIndex index = index_of(grid(30, {{.key = "version", .values = {"1"}}}));
  Pairs pairs = all_of_grid(30);
  for (const char* const version : {"", "2"}) {
    if (*version != '\0') {
      pairs.emplace_back("version", version);
    }
    const Cost cost = cost_of(index, pairs);
    EXPECT_THAT(cost.visited, IsEmpty()) << version;
    EXPECT_LE(cost.asked, 64) << version;
  }
  pairs.emplace_back("version", "1");
  EXPECT_EQ(cost_of(index, pairs).visited.size(), 900U);
}

TEST(RuleIndex, WhatAllOfThemDemandMayHaveManyValues) {
  Rules rules = grid(30, {});
  for (int i = 0; i < 900; ++i) {
    rules[static_cast<std::size_t>(i)].push_back({.key = "z", .values = {std::to_string(i % 90), "all"}});
  }
  const RuleIndex index = index_of(rules);
  Pairs pairs = all_of_grid(30);
  pairs.emplace_back("z", "other");
  Cost cost = cost_of(index, pairs);
  EXPECT_THAT(cost.visited, IsEmpty());
  EXPECT_LE(cost.asked, 64);
  pairs.back().second = "7";  // of ten of them
  cost = cost_of(index, pairs);
  EXPECT_LE(cost.visited.size(), 300U);
  EXPECT_LE(cost.asked, 900);
  pairs.back().second = "all";
  EXPECT_EQ(cost_of(index, pairs).visited.size(), 900U);
}

TEST(RuleIndex, ARuleThatDemandsLessIsFoundBesideThem) {
  Rules rules = grid(30, {{.key = "version", .values = {"1"}}});
  rules.push_back({{.key = "x", .values = {"7"}}});
  rules.emplace_back();
  const RuleIndex index = index_of(rules);
  EXPECT_THAT(found(index, "/a", {{"x", "7"}, {"y", "30"}}), ElementsAre(900, 901));
  // Its column is looked through; of the others each is asked for what all in it demand.
  const Cost cost = cost_of(index, all_of_grid(30));
  EXPECT_THAT(cost.visited, testing::IsSupersetOf({900, 901}));
  EXPECT_LE(cost.visited.size(), 32U);
  EXPECT_LE(cost.asked, 300);
}

TEST(RuleIndex, RulesThatNothingTellsApartAreNotVisitedWithoutWhatTheyShare) {
  Rules rules(100);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    RequiredQuery& demand = rules[i].emplace_back();
    demand.key = "k";
    for (std::size_t value = 0; value <= DemandIndex::kMostValues; ++value) {
      demand.values.push_back(std::to_string(i) + "-" + std::to_string(value));
    }
  }
  const RuleIndex index = index_of(rules);
  EXPECT_THAT(cost_of(index, {{"k", "other"}}).visited, IsEmpty());
  EXPECT_THAT(cost_of(index, {{"l", "7-7"}}).visited, IsEmpty());
  EXPECT_THAT(found(index, "/a", {{"k", "7-7"}}), testing::Contains(7));
}

// Not once for each way to come to a rule: that would be 1000 to the power of the number of keys.
TEST(RuleIndex, WhatAClientRepeatsIsNotAskedAgainForEachKey) {
  Rules rules;
  for (int i = 0; i < 32; ++i) {
    std::vector<RequiredQuery> demands;
    for (int bit = 0; bit < 5; ++bit) {
      demands.push_back({.key = "k" + std::to_string(bit), .values = {std::to_string(i >> bit & 1)}});
    }
    rules.push_back(demands);
  }
  const RuleIndex index = index_of(rules);
  Pairs pairs;
  for (int i = 0; i < 1000; ++i) {
    for (int bit = 0; bit < 5; ++bit) {
      pairs.emplace_back("k" + std::to_string(bit), "1");
    }
  }
  const Cost cost = cost_of(index, pairs);
  EXPECT_THAT(cost.visited, testing::Contains(31));
  EXPECT_LE(cost.visited.size(), DemandIndex::kFew);
  EXPECT_LE(cost.asked, 64);
}

// A file of some KB: value by value below each other they would be 100 to the fourth power lists.
TEST(RuleIndex, ManyValuesOfManyKeysAreFiledOnce) {
  Rules rules(5);
  for (std::vector<RequiredQuery>& demands : rules) {
    for (int key = 0; key < 4; ++key) {
      RequiredQuery& demand = demands.emplace_back();
      demand.key = "k" + std::to_string(key);
      for (int value = 0; value < 100; ++value) {
        demand.values.push_back(std::to_string(value));
      }
    }
  }
  EXPECT_THAT(found(index_of(rules), "/a", {{"k0", "7"}, {"k1", "7"}, {"k2", "7"}, {"k3", "99"}}),
              ElementsAre(0, 1, 2, 3, 4));
}

// As above, with as few values as a rule may be filed under.
TEST(RuleIndex, SomeValuesOfManyKeysAreFiledUnderOneKey) {
  Rules rules(5);
  for (std::vector<RequiredQuery>& demands : rules) {
    for (int key = 0; key < 12; ++key) {
      RequiredQuery& demand = demands.emplace_back();
      demand.key = "k" + std::to_string(key);
      for (std::size_t value = 0; value < DemandIndex::kMostValues; ++value) {
        demand.values.push_back(std::to_string(value));
      }
    }
  }
  Pairs pairs;
  for (int key = 0; key < 12; ++key) {
    pairs.emplace_back("k" + std::to_string(key), "7");
  }
  EXPECT_THAT(found(index_of(rules), "/a", pairs), ElementsAre(0, 1, 2, 3, 4));
}

TEST(RuleIndex, OfManyKeysEachRuleHasItsOwn) {
  Rules rules;
  for (int i = 0; i < 1000; ++i) {
    rules.push_back({{.key = "key" + std::to_string(i), .values = {"v"}}});
  }
  EXPECT_THAT(found(index_of(rules), "/a", {{"key7", "v"}, {"key8", "w"}, {"key900", "v"}}), ElementsAre(7, 900));
}

TEST(RuleIndex, BeyondSoManyKeysRulesAreLookedThrough) {
  Rules rules(6);
  for (int i = 0; i < 6; ++i) {
    for (int key = 0; key < 400; ++key) {
      rules[static_cast<std::size_t>(i)].push_back({.key = "k" + std::to_string(key), .values = {"v"}});
    }
  }
  Pairs pairs;
  for (int key = 0; key < 400; ++key) {
    pairs.emplace_back("k" + std::to_string(key), "v");
  }
  EXPECT_THAT(found(index_of(rules), "/a", pairs), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(found(index_of(rules), "/a", {{"k0", "v"}}), IsEmpty());
}

TEST(RuleIndex, WhatWasAskedForIsNotAskedForAgain) {
  const RuleIndex index = index_of(Rules(6, {{.key = "k", .values = {"v"}}}));
  const Cost cost = cost_of(index, {{"k", "v"}});
  EXPECT_EQ(cost.visited.size(), 6U);
  EXPECT_LE(cost.asked, 2);
}

TEST(RuleIndex, StopsWhereItIsTold) {
  const RuleIndex index = index_of(many(100));
  int visits = 0;
  const auto pairs = [](auto f) { return f("version", "1") || f("resource", "r1") || f("resource", "r2"); };
  EXPECT_TRUE(index.any("/a", pairs, [&](std::uint32_t) { return ++visits == 1; }));
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace msp::policy
