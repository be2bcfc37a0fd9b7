// SPDX-License-Identifier: Apache-2.0
#include "gateway/reason.h"

#include <gtest/gtest.h>

#include <set>

namespace msp::gateway {
namespace {

TEST(Reason, EachHasACodeOfItsOwnAStatusAndSaysWhatToDo) {
  std::set<std::string_view> codes;
  for (std::size_t i = 1; i < kReasonCount; ++i) {
    const ReasonFacts& fact = facts(static_cast<Reason>(i));
    EXPECT_TRUE(codes.insert(fact.code).second) << fact.code;
    EXPECT_GE(fact.status, 400) << fact.code;
    EXPECT_FALSE(fact.advice.empty()) << fact.code;
    EXPECT_FALSE(fact.remedy.empty()) << fact.code;
  }
  EXPECT_FALSE(codes.contains(""));
}

}  // namespace
}  // namespace msp::gateway
