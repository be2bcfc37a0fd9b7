// SPDX-License-Identifier: Apache-2.0
#include "status/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp::status {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::vector<Check> kChecks{
    {.name = "kernel", .what = "fits"},
    {.name = "clock", .verdict = Verdict::kWarning, .what = "is off", .remedy = "set it\x1b[2J"},
    {.name = "hooks", .verdict = Verdict::kFailure, .what = "are gone", .remedy = "restart"}};

TEST(Check, GoesToAnotherProgramAndBack) {
  const auto read = read_checks(checks_json(kChecks));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), kChecks.size());
  for (std::size_t i = 0; i < kChecks.size(); ++i) {
    EXPECT_EQ((*read)[i].name, kChecks[i].name);
    EXPECT_EQ((*read)[i].verdict, kChecks[i].verdict);
    EXPECT_EQ((*read)[i].what, kChecks[i].what);
    EXPECT_EQ((*read)[i].remedy, kChecks[i].remedy);
  }
  EXPECT_FALSE(read_checks("{}"));
  EXPECT_FALSE(read_checks("msp-agent: no such subcommand"));
}

TEST(Check, AVerdictThatIsNotKnownIsNoneThatIsGood) {
  const auto read = read_checks(R"({"checks":[{"name":"x","verdict":"splendid"}]})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->front().verdict, Verdict::kFailure);
}

TEST(Check, TheWorstCounts) {
  EXPECT_EQ(worst_of(kChecks), Verdict::kFailure);
  EXPECT_EQ(worst_of({kChecks[0], kChecks[1]}), Verdict::kWarning);
  EXPECT_EQ(worst_of({kChecks[0]}), Verdict::kOk);
  EXPECT_EQ(worst_of({}), Verdict::kFailure) << "nothing was looked at";
}

TEST(Check, PeopleSeeEachWithItsRemedy) {
  const std::string view = checks_view(kChecks);
  EXPECT_THAT(view, HasSubstr("ok       kernel         fits\n"));
  EXPECT_THAT(view, HasSubstr("FAILURE  hooks          are gone\n                        -> restart\n"));
  EXPECT_THAT(view, HasSubstr("3 checks: 1 ok, 1 warnings, 1 failures\n"));
  EXPECT_THAT(view, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace msp::status
