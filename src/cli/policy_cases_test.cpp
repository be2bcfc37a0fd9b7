// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/json.h"
#include "cli/policy_common.h"
#include "cli/test_files.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kRules = R"({"imds":{"defaultAccess":"deny","mode":"enforce","id":"v3","rules":{
  "privileges":[{"name":"instance","path":"/metadata/instance"}],
  "roles":[{"name":"reader","privileges":["instance"]}],
  "identities":[{"name":"app","userName":"svc"}],
  "roleAssignments":[{"role":"reader","identities":["app"]}]}}})";

std::string cases(std::string_view rules, std::string_view expect_for_bob) {
  return R"({"rules":)" + std::string(rules) + R"(,"cases":[
    {"name":"svc reads","as":"svc","request":"GET http://169.254.169.254/metadata/instance","expect":"permit"},
    {"name":"bob does not","as":"bob","request":"GET http://169.254.169.254/metadata/instance","expect":)" +
         std::string(expect_for_bob) + "}]}";
}

class PolicyCases : public TestFiles {
 protected:
  std::string rules = write("rules.json", kRules);
};

TEST_F(PolicyCases, CasesThatHold) {
  for (const std::string& text :
       {cases("\"rules.json\"", R"({"outcome":"deny","code":"identity_mismatch"})"), cases(kRules, "\"deny\"")}) {
    const Outcome outcome = policy({"test", write("cases.json", text)});
    EXPECT_EQ(outcome.code, kExitOk) << outcome.err;
    EXPECT_EQ(outcome.out, "2 cases: 2 ok, 0 failed\n");
  }
  EXPECT_THAT(policy({"test", "--all", path("cases.json")}).out, HasSubstr("ok    svc reads: PERMIT by privilege"));
}

TEST_F(PolicyCases, ACaseThatDoesNotHoldPointsAtTheNearestMiss) {
  const std::string file = write("cases.json", cases("\"rules.json\"", "\"permit\""));
  const Outcome outcome = policy({"test", file});
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_THAT(outcome.out, HasSubstr("FAIL  bob does not: expected permit, found deny"));
  EXPECT_THAT(outcome.out, HasSubstr("DENY 403 identity_mismatch"));
  EXPECT_THAT(outcome.out, HasSubstr(R"(identity "app"; userName: wanted svc, found bob)"));
  EXPECT_THAT(outcome.out, HasSubstr("2 cases: 1 ok, 1 failed"));

  const auto shown = json::parse(policy({"test", "--json", file}).out);
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(shown->find("failed")->int64(), 1);
  EXPECT_TRUE(*shown->at("/cases/0/ok")->boolean());
  EXPECT_EQ(*shown->at("/cases/1/difference")->string(), "expected permit, found deny");
  EXPECT_THAT(*shown->at("/cases/1/nearest")->string(), HasSubstr("userName"));
}

TEST_F(PolicyCases, OtherRulesMayTakeTheirPlace) {
  const std::string file = write("cases.json", cases("\"rules.json\"", "\"deny\""));
  std::string wider(kRules);
  wider.replace(wider.find(",\"userName\":\"svc\""), 17, "");
  EXPECT_EQ(policy({"test", file}).code, kExitOk);
  EXPECT_EQ(policy({"test", "--rules", write("wider.json", wider), file}).code, kExitFindings);
}

TEST_F(PolicyCases, UnusableInput) {
  EXPECT_EQ(policy({"test", path("none.json")}).code, kExitUnusable);
  EXPECT_EQ(policy({"test", write("a.json", cases("\"none.json\"", "\"deny\""))}).code, kExitUnusable);
  const Outcome bad = policy({"test", write("b.json", cases(R"({"imds":7})", "\"deny\""))});
  EXPECT_EQ(bad.code, kExitUnusable);
  EXPECT_THAT(bad.err, HasSubstr("b.json: line 1, column 18 (/rules/imds)"));
  const Outcome shape = policy({"test", write("c.json", cases("null", "\"maybe\", \"x\": 1"))});
  EXPECT_EQ(shape.code, kExitUnusable);
  EXPECT_THAT(shape.err, HasSubstr("/cases/1/x at line 3"));
  EXPECT_THAT(shape.err, HasSubstr("/cases/1/expect at line 3"));
}

TEST_F(PolicyCases, NamesCannotSteerTheTerminal) {
  std::string text = cases("\"rules.json\"", "\"permit\"");
  text.replace(text.find("bob does"), 3, R"(\u001b[2J)");
  EXPECT_THAT(policy({"test", write("evil.json", text)}).out, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace msp::cli
