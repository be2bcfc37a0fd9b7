// SPDX-License-Identifier: Apache-2.0
#include "policy/legacy_query.h"

#include <gtest/gtest.h>

namespace msp::policy {
namespace {

bool meets(std::string_view raw, std::string_view embedded, std::string_view key, std::string_view value) {
  LegacyQuery query(raw, embedded, std::pmr::get_default_resource());
  return query.meets({{std::string(key), std::string(value)}});
}

TEST(LegacyQuery, TheQueryItselfComesBeforeOneHiddenInThePath) {
  EXPECT_TRUE(meets("k=1", "k=2", "k", "1"));
  EXPECT_FALSE(meets("k=1", "k=2", "k", "2"));
  EXPECT_TRUE(meets("a=1", "k=2", "k", "2"));
}

TEST(LegacyQuery, OfManyPairsTheFirstOfAKeyCountsToo) {
  std::string raw = "k=1";
  for (int i = 0; i < 40; ++i) {
    raw += "&a" + std::to_string(i) + "=x";
  }
  EXPECT_TRUE(meets(raw, "k=2", "k", "1"));
  EXPECT_FALSE(meets(raw, "k=2", "k", "2"));
  EXPECT_TRUE(meets(raw, "z=2", "z", "2"));
}

TEST(LegacyQuery, OfAKeyThatIsRepeatedOnePairIsTold) {
  LegacyQuery query("k=1&k=1&K=2&a=x", "k=3", std::pmr::get_default_resource());
  std::vector<std::string> told;
  query.any_pair([&](std::string_view key, std::string_view value) {
    told.push_back(std::string(key) + "=" + std::string(value));
    return false;
  });
  EXPECT_EQ(told, (std::vector<std::string>{"a=x", "k=1"}));
  EXPECT_EQ(query.count(), 5U);
}

}  // namespace
}  // namespace msp::policy
