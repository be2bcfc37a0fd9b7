// SPDX-License-Identifier: Apache-2.0
#include "policy/prefix_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/rapidcheck.h"

namespace msp::policy {
namespace {

using Paths = PrefixIndex::Paths;

std::vector<std::uint32_t> found(const PrefixIndex& index, std::string_view text) {
  std::vector<std::uint32_t> out;
  index.any_prefix(text, [&](std::span<const std::uint32_t> values) {
    out.insert(out.end(), values.begin(), values.end());
    return false;
  });
  return out;
}

TEST(PrefixIndex, EmptyFindsNothing) { EXPECT_TRUE(found(PrefixIndex(), "/a").empty()); }

TEST(PrefixIndex, FindsTheWholeChainShortestFirst) {
  const PrefixIndex index(Paths{{"", {0}}, {"/", {1, 2}}, {"/a", {3}}, {"/a/b", {4}}, {"/a/c", {5}}, {"/b", {6}}});
  EXPECT_THAT(found(index, "/a/b/x"), testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(found(index, "/a/bb"), testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(found(index, "/a/bz"), testing::ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(found(index, "/ab"), testing::ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(found(index, "*"), testing::ElementsAre(0));
  EXPECT_THAT(found(index, ""), testing::ElementsAre(0));
}

TEST(PrefixIndex, StopsWhereTheVisitorSaysSo) {
  const PrefixIndex index(Paths{{"/", {1}}, {"/a", {2}}});
  int visits = 0;
  EXPECT_TRUE(index.any_prefix("/a", [&](auto) { return ++visits == 1; }));
  EXPECT_EQ(visits, 1);
}

TEST(PrefixIndex, AgreesWithLookingAtEveryPath) {
  EXPECT_TRUE(rc::check("prefix index agrees with a linear scan", [] {
    const auto letters = rc::gen::container<std::string>(rc::gen::element('a', 'b', '/', '\xff'));
    const auto keys = *rc::gen::container<std::vector<std::string>>(letters);
    const std::string text = *letters;
    Paths paths;
    for (std::uint32_t i = 0; i < keys.size(); ++i) {
      paths[keys[i]].push_back(i);
    }
    std::vector<std::uint32_t> expected;
    for (std::uint32_t i = 0; i < keys.size(); ++i) {
      if (text.starts_with(keys[i])) {
        expected.push_back(i);
      }
    }
    std::vector<std::uint32_t> actual = found(PrefixIndex(paths), text);
    std::ranges::sort(actual);
    RC_ASSERT(actual == expected);
  }));
}

}  // namespace
}  // namespace msp::policy
