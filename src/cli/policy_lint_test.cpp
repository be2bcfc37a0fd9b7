// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/json.h"
#include "cli/policy_common.h"
#include "cli/test_files.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string rules(std::string_view identity,
                  std::string_view privilege = R"({"name":"token","path":"/metadata/token/"})") {
  return R"({"imds":{"defaultAccess":"deny","mode":"enforce","id":"v3","rules":{"privileges":[)" +
         std::string(privilege) + R"(],"roles":[{"name":"reader","privileges":["token"]}],"identities":[)" +
         std::string(identity) + R"(],"roleAssignments":[{"role":"reader","identities":["app"]}]}}})";
}

class PolicyLint : public TestFiles {};

TEST_F(PolicyLint, FindingsNameFileLineColumnAndWhatToDo) {
  const std::string file = write("r.json", rules(R"({"name":"app","exePath":"/opt/app"})"));
  const Outcome loose = policy({"lint", file});
  EXPECT_EQ(loose.code, kExitOk) << loose.err;
  EXPECT_THAT(loose.out, HasSubstr(file + ":1:192: warning: anybody can be \"app\""));
  EXPECT_THAT(loose.out, HasSubstr("[forgeable-identity]\n  -> add userName"));
  EXPECT_EQ(policy({"lint", "--strict", file}).code, kExitFindings);
  const std::string mended = write("m.json", rules(R"({"name":"app","userName":"svc","exePath":"/opt/app"})"));
  EXPECT_EQ(policy({"lint", "--strict", mended}).code, kExitOk);
  EXPECT_THAT(policy({"lint", mended}).out, HasSubstr("0 errors, 0 warnings"));
}

TEST_F(PolicyLint, ErrorsEndWithOneAndUnreadableRulesWithTwo) {
  const Outcome dangling = policy({"lint", write("d.json", rules(R"({"name":"apps","userName":"svc"})"))});
  EXPECT_EQ(dangling.code, kExitFindings);
  EXPECT_THAT(dangling.out, HasSubstr("error: there is no identity \"app\""));
  const Outcome typed = policy({"lint", write("t.json", rules(R"({"name":"app","userName":7})"))});
  EXPECT_EQ(typed.code, kExitUnusable);
  EXPECT_THAT(typed.out, HasSubstr("[wrong-type]"));
  EXPECT_THAT(typed.out, HasSubstr("the agent would refuse to read it"));
  const Outcome broken = policy({"lint", write("b.json", R"({"imds":)")});
  EXPECT_EQ(broken.code, kExitUnusable);
  EXPECT_THAT(broken.err, HasSubstr("line 1, column 9"));
  EXPECT_EQ(policy({"lint", path("none.json")}).code, kExitUnusable);
}

TEST_F(PolicyLint, NotesAreShownOnDemandAndAlwaysToPrograms) {
  const std::string file = write("r.json", rules(R"({"name":"app","userName":"svc"})"));
  EXPECT_THAT(policy({"lint", file}).out, Not(HasSubstr("[dot-segment]")));
  EXPECT_THAT(policy({"lint", file}).out, HasSubstr("(--notes shows them)"));
  EXPECT_THAT(policy({"lint", "--notes", file}).out, HasSubstr("[dot-segment]"));
  const auto shown = json::parse(policy({"lint", "--json", file}).out);
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->find("errors")->int64(), 0);
  EXPECT_EQ(shown->find("findings")->array()->size(), static_cast<std::size_t>(*shown->find("notes")->int64()));
  EXPECT_EQ(*shown->at("/findings/0/severity")->string(), "note");
}

TEST_F(PolicyLint, ThisMachineIsAskedOnDemand) {
  const std::string file =
      write("r.json", rules(R"({"name":"app","userName":"nobody-of-that-name","exePath":"/nonexistent/x"})"));
  EXPECT_EQ(policy({"lint", "--strict", file}).code, kExitOk);
  const Outcome looked = policy({"lint", "--strict", "--system", file});
  EXPECT_EQ(looked.code, kExitFindings);
  EXPECT_THAT(looked.out, HasSubstr("[no-such-user]"));
  EXPECT_THAT(looked.out, HasSubstr("[no-such-executable]"));
  const std::string here =
      write("h.json", rules(R"({"name":"app","userName":"root","groupName":"root","exePath":"/usr/bin/env"})"));
  const Outcome found = policy({"lint", "--system", here});
  EXPECT_THAT(found.out, Not(HasSubstr("no-such")));
  EXPECT_THAT(found.out, HasSubstr("[interpreter-identity]"));
}

TEST_F(PolicyLint, WhatLegacyMatchingWidensDependsOnWhoMatches) {
  const std::string file =
      write("r.json", rules(R"({"name":"app","userName":"svc"})", R"({"name":"token","path":"/metadata"})"));
  EXPECT_EQ(policy({"lint", "--strict", file}).code, kExitOk);
  for (const std::vector<std::string>& legacy :
       {std::vector<std::string>{"--matching", "shadow"}, std::vector<std::string>{"--target", "field"}}) {
    std::vector<std::string> arguments{"lint", "--strict", file};
    arguments.insert(arguments.end(), legacy.begin(), legacy.end());
    const Outcome outcome = policy(arguments);
    EXPECT_EQ(outcome.code, kExitFindings);
    EXPECT_THAT(outcome.out, HasSubstr("GET /metadata-x by user svc"));
  }
}

TEST_F(PolicyLint, NamesInRulesCannotForgeLines) {
  const Outcome outcome =
      policy({"lint", write("r.json", rules(R"({"name":"app\nx: error","exePath":"/a\u001b[2J"})"))});
  EXPECT_THAT(outcome.out, Not(HasSubstr("\nx: error")));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
}

std::string example(const std::string& name) { return MSP_SOURCE_DIR "/share/openmsp/examples/" + name; }

// The lists that docs/mspctl-policy.md explains.
TEST_F(PolicyLint, TheListWithUnitsIsClean) {
  const Outcome outcome = policy({"lint", "--strict", example("waagent-cloud-init.units.json")});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.out;
  const Outcome field = policy({"lint", "--target", "field", example("waagent-cloud-init.units.json")});
  EXPECT_EQ(field.code, kExitFindings);
  EXPECT_THAT(field.out, HasSubstr("[openmsp-for-field]"));
}

TEST_F(PolicyLint, TheListInTheFieldsFormNamesInterpretersAndNothingElse) {
  const std::string file = example("waagent-cloud-init.field.json");
  EXPECT_EQ(policy({"lint", file}).code, kExitOk);
  const auto shown = json::parse(policy({"lint", "--json", file}).out);
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->find("errors")->int64(), 0);
  EXPECT_EQ(shown->find("warnings")->int64(), 5);
  for (const json::Value& finding : *shown->find("findings")->array()) {
    if (*finding.find("severity")->string() != "note") {
      EXPECT_EQ(*finding.find("code")->string(), "interpreter-identity");
    }
  }
  EXPECT_EQ(policy({"lint", "--target", "field", file}).code, kExitOk);
}

}  // namespace
}  // namespace msp::cli
