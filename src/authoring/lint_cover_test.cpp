// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint_cover.h"

#include <gtest/gtest.h>

namespace msp::authoring {
namespace {

RulePrivilege privilege(std::string path, std::vector<std::pair<std::string, std::string>> query = {}) {
  static int count = 0;
  return {.name = "p" + std::to_string(count++), .path = std::move(path), .query_parameters = std::move(query)};
}

/// The first other one that asks no more.
std::uint32_t broader(const std::vector<RulePrivilege>& privileges, std::uint32_t narrow) {
  const WholeRules rules{.privileges = privileges, .roles = {}, .identities = {}, .role_assignments = {}};
  const RuleIndex index(rules);
  const Cover cover(rules, index);
  return cover.first(narrow, [&](std::uint32_t other) { return other != narrow && cover.asks_no_more(other, narrow); });
}

/// How many others are looked at, of all together, where none fits.
std::size_t comparisons(const std::vector<RulePrivilege>& privileges) {
  const WholeRules rules{.privileges = privileges, .roles = {}, .identities = {}, .role_assignments = {}};
  const RuleIndex index(rules);
  const Cover cover(rules, index);
  std::size_t compared = 0;
  for (std::uint32_t i = 0; i < privileges.size(); ++i) {
    EXPECT_EQ(cover.first(i, [&](std::uint32_t) { return ++compared == 0; }), RuleIndex::kNone);
  }
  return compared;
}

TEST(LintCover, IsFoundByPathAndByEachParameter) {
  EXPECT_EQ(broader({privilege("/a/b", {{"k", "v"}}), privilege("/a")}, 0), 1U);
  EXPECT_EQ(broader({privilege("/a/b", {{"k", "v"}}), privilege("/")}, 0), 1U);
  EXPECT_EQ(broader({privilege("/a", {{"k", "v"}, {"l", "w"}}), privilege("/a", {{"l", "w"}})}, 0), 1U);
  EXPECT_EQ(broader({privilege("/a", {{"k", "v"}}), privilege("/a", {{"k", "x"}})}, 0), RuleIndex::kNone);
  EXPECT_EQ(broader({privilege("/a"), privilege("/a/b")}, 0), RuleIndex::kNone);
  EXPECT_EQ(broader({privilege("/ab"), privilege("/a")}, 0), RuleIndex::kNone);
}

// 10,000 of one path took seconds, and four times as long as 5,000.
TEST(LintCover, ManyOfOnePathAreNotComparedWithEachOther) {
  std::vector<RulePrivilege> privileges;
  for (int i = 0; i < 2000; ++i) {
    privileges.push_back(privilege("/token", {{"api-version", "2018"}, {"resource", std::to_string(i)}}));
  }
  EXPECT_EQ(comparisons(privileges), privileges.size());  // itself
}

// Six privileges with ten thousand values took half a minute.
TEST(LintCover, WhatHasManyValuesInCommonIsComparedOnce) {
  std::string values = "0";
  for (int i = 1; i < 500; ++i) {
    values += "&k=" + std::to_string(i);
  }
  std::vector<RulePrivilege> privileges;
  for (int i = 0; i < 3; ++i) {
    privileges.push_back(privilege("/a", {{"k", values}}));
  }
  const WholeRules rules{.privileges = privileges, .roles = {}, .identities = {}, .role_assignments = {}};
  const RuleIndex index(rules);
  const Cover cover(rules, index);
  std::size_t compared = 0;
  EXPECT_EQ(cover.first(2, [&](std::uint32_t) { return ++compared == 0; }), RuleIndex::kNone);
  EXPECT_EQ(compared, privileges.size());
  EXPECT_EQ(broader({privilege("/a", {{"k", "3&k=1&k=3"}, {"l", "v"}}), privilege("/a", {{"k", "3&k=1&k=3"}})}, 0), 1U);
}

// 4,000 of them took 20 seconds, and four times as long as 2,000.
TEST(LintCover, WhoHasAValueOfItsOwnIsNotComparedWithThoseItSharesOthersWith) {
  std::string shared;
  for (int i = 0; i < 20; ++i) {
    shared += "common" + std::to_string(i) + "&k=";
  }
  std::vector<RulePrivilege> privileges;
  for (int i = 0; i < 200; ++i) {
    privileges.push_back(privilege("/a", {{"k", shared + std::to_string(i)}}));
  }
  EXPECT_EQ(comparisons(privileges), privileges.size());  // itself
}

}  // namespace
}  // namespace msp::authoring
