// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/json.h"
#include "cli/policy_common.h"
#include "cli/test_files.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;

std::string rules(std::string_view identities, std::string_view access = "deny") {
  return R"({"imds":{"defaultAccess":")" + std::string(access) + R"(","mode":"enforce","id":"v","rules":{
    "privileges":[{"name":"token","path":"/metadata/token"}],"roles":[{"name":"reader","privileges":["token"]}],
    "identities":[{"name":"app","userName":"svc"},{"name":"web","userName":"www"}],
    "roleAssignments":[{"role":"reader","identities":)" +
         std::string(identities) + "}]}}}";
}

class PolicyDiff : public TestFiles {};

TEST_F(PolicyDiff, TellsPairsWithAWitnessAndEndsWithOne) {
  const std::string a = write("a.json", rules(R"(["app"])"));
  const std::string b = write("b.json", rules(R"(["web"])"));
  const Outcome outcome = policy({"diff", a, b});
  EXPECT_EQ(outcome.code, kExitFindings) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("OPENS  imds: privilege \"token\" for \"web\"\n"
                                     "    GET http://169.254.169.254/metadata/token by user www\n"
                                     "    A: refused, identity_mismatch (privilege \"token\""));
  EXPECT_THAT(outcome.out, HasSubstr("CLOSES imds: privilege \"token\" for \"app\""));
  EXPECT_THAT(outcome.out, HasSubstr("1 pairs open, 1 close"));
  const Outcome same = policy({"diff", a, write("c.json", "  " + rules(R"(["app", "app"])"))});
  EXPECT_EQ(same.code, kExitOk);
  EXPECT_EQ(same.out, "no difference\n");
}

TEST_F(PolicyDiff, ProgramsGetTheSameAsAnObject) {
  const Outcome outcome =
      policy({"diff", "--json", write("a.json", rules(R"(["app"])")), write("b.json", rules(R"(["app"])", "allow"))});
  EXPECT_EQ(outcome.code, kExitFindings);
  const auto shown = json::parse(outcome.out);
  ASSERT_TRUE(shown) << outcome.out;
  EXPECT_EQ(*shown->at("/items/0/what")->string(), "defaultAccess");
  EXPECT_EQ(*shown->at("/differences/0/change")->string(), "opens");
  EXPECT_EQ(*shown->at("/differences/0/a/code")->string(), "no_rule");
  EXPECT_EQ(*shown->at("/differences/0/b/ground")->string(), "default_access");
}

TEST_F(PolicyDiff, WhatIsNotKnownOfACallerIsSaid) {
  const std::string head = R"({"imds":{"defaultAccess":"deny","mode":"enforce","id":"x","rules":{
    "privileges":[{"name":"p","path":"/metadata/instance"}],"roles":[{"name":"r","privileges":["p"]}],
    "identities":[{"name":"ev"},{"name":"ghost","userName":"undefined"}],
    "roleAssignments":[{"role":"r","identities":["ev"]})";
  const std::string a = write("a.json", head + "]}}}");
  const std::string b =
      write("b.json", head + R"(,{"role":"r","identities":["ghost"],"openmsp":{"effect":"deny"}}]}}})");
  const Outcome outcome = policy({"diff", a, b});
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_THAT(outcome.out, HasSubstr("/metadata/instance by a user without a name\n"));
  const auto shown = json::parse(policy({"diff", "--json", a, b}).out);
  ASSERT_TRUE(shown);
  EXPECT_EQ(*shown->at("/differences/0/caller/unknown/0")->string(), "user");
}

TEST_F(PolicyDiff, UnusableInputIsTold) {
  const std::string a = write("a.json", rules(R"(["app"])"));
  EXPECT_EQ(policy({"diff", a, path("none.json")}).code, kExitUnusable);
  EXPECT_EQ(policy({"diff", a}).code, kExitUnusable);
  const std::string item = write("i.json", R"({"defaultAccess":"deny","mode":"enforce","id":"r"})");
  const Outcome unknown = policy({"diff", a, item});
  EXPECT_EQ(unknown.code, kExitUnusable);
  EXPECT_THAT(unknown.err, HasSubstr("--service"));
  EXPECT_EQ(policy({"diff", "--service", "imds", a, item}).code, kExitFindings);
}

}  // namespace
}  // namespace msp::cli
