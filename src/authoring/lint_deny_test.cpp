// SPDX-License-Identifier: Apache-2.0
// What lint says of denies: what is not known of a caller fits them, so little of what grants nothing denies nobody.
#include <gmock/gmock.h>

#include "authoring/lint.h"

namespace msp::authoring {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Everybody of a group may ask, and `denied` may not. Findings as "code pointer: text -> remedy".
std::vector<std::string> told(const std::string& denied, Severity least = Severity::kWarning,
                              const LintOptions& options = {}) {
  auto parsed = RuleText::parse(
      R"({"defaultAccess":"deny","mode":"enforce","id":"x","rules":{"privileges":[{"name":"p","path":"/m"}],
      "roles":[{"name":"r","privileges":["p"]}],"identities":[{"name":"ok","groupName":"g"},{"name":"bad",)" +
          denied + R"(}],"roleAssignments":[{"role":"r","identities":["ok"]},
      {"role":"r","identities":["bad"],"openmsp":{"effect":"deny"}}]}})",
      "r.json");
  EXPECT_TRUE(parsed);
  auto report = lint(*parsed, options);
  EXPECT_TRUE(report);
  std::vector<std::string> out;
  for (const Finding& finding : report->findings) {
    if (finding.severity >= least) {
      out.push_back(std::string(finding.code) + " " + finding.pointer + ": " + finding.text + " -> " + finding.remedy);
    }
  }
  return out;
}

TEST(LintDeny, ANameThatNobodyHasIsEverybodyWithoutOne) {
  for (const char* denied : {R"("userName":"undefined")", R"("userName":"")", R"("groupName":"")"}) {
    EXPECT_THAT(told(denied), IsEmpty()) << denied;
    EXPECT_THAT(told(denied, Severity::kNote), Contains(AllOf(HasSubstr("deny-of-unknown /rules/identities/1"),
                                                              HasSubstr("of whom that is not known"))))
        << denied;
  }
  // The field's agent takes it as one more allow.
  EXPECT_THAT(told(R"("userName":"undefined")", Severity::kWarning, {.target = Target::kField}),
              Contains(HasSubstr("identity-nobody")));
}

TEST(LintDeny, APathMayLeadToAFileOfAnotherName) {
  EXPECT_THAT(told(R"("userName":"a","exePath":"/bin//x","processName":"y")"), IsEmpty());
  EXPECT_THAT(told(R"("userName":"a","processName":"")"), IsEmpty());
}

TEST(LintDeny, WhatIsAboutNoCallerAtAllDeniesNobody) {
  for (const char* denied : {R"("userName":"a","exePath":"bin/x")", R"("userName":"a","exePath":"/bin/../x")",
                             R"("userName":"a","processName":"/bin/x")"}) {
    const auto found = told(denied);
    EXPECT_THAT(found, Contains(AllOf(HasSubstr("unreachable-assignment /rules/roleAssignments/1"),
                                      HasSubstr("denies nobody"), Not(HasSubstr("grants")))))
        << denied;
    EXPECT_THAT(found, Contains(HasSubstr("identity-nobody /rules/identities/1"))) << denied;
  }
}

// What narrows an allow would open a deny.
TEST(LintDeny, TheAdviceIsNotThatForAllows) {
  const auto found = told(R"("exePath":"/usr/bin/python3")");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0], AllOf(HasSubstr("forgeable-identity"), HasSubstr("a copy of the program is another program"),
                              HasSubstr("-> deny users, units or containers")));
  EXPECT_THAT(told(R"("userName":"root","exePath":"/usr/bin/python3")"), IsEmpty());
}

}  // namespace
}  // namespace msp::authoring
