// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff_callers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "authoring/diff.h"
#include "authoring/rule_callers.h"

namespace msp::authoring {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RuleSource rules(const std::string& identities, const std::string& assignments, const std::string& service = "imds") {
  auto out = read_rules("{\"" + service + R"(":{"defaultAccess":"deny","mode":"enforce","id":"x","rules":{
    "privileges":[{"name":"p","path":"/p"}],"roles":[{"name":"r","privileges":["p"]}],"identities":[)" +
                            identities + R"(],"roleAssignments":[)" + assignments + "]}}}",
                        "r.json");
  EXPECT_TRUE(out) << (out ? "" : out.error().text());
  return out ? *std::move(out) : RuleSource();
}

/// What `identity` loses where it is denied, as "identity by witness".
std::vector<std::string> closed_by(const std::string& identity, const std::string& service = "imds",
                                   const std::string& allowed = R"({"name":"ok"})") {
  const std::string all = allowed + "," + identity;
  const std::string allow = R"({"role":"r","identities":["ok"]})";
  const RuleSource a = rules(all, allow, service);
  const RuleSource b = rules(all, allow + R"(,{"role":"r","identities":["bad"],"openmsp":{"effect":"deny"}})", service);
  const auto report = diff(a, b, {});
  EXPECT_TRUE(report);
  std::vector<std::string> out;
  for (const Difference& difference : report->differences) {
    EXPECT_FALSE(difference.opens);
    EXPECT_EQ(difference.b.code, "explicit_deny");
    out.push_back(difference.identity + " by " + describe(difference.witness.caller));
  }
  return out;
}

TEST(DiffCallers, AUserWithoutANameIsAskedWhereNobodyElseIsDenied) {
  EXPECT_THAT(closed_by(R"({"name":"bad","userName":"undefined"})"), ElementsAre("ok by a user without a name"));
  EXPECT_THAT(closed_by(R"({"name":"bad","userName":""})"), ElementsAre("ok by a user without a name"));
  EXPECT_THAT(closed_by(R"({"name":"bad","userName":"eve"})"), ElementsAre("ok by user eve"));
  // Whoever is allowed by name has one.
  EXPECT_THAT(closed_by(R"({"name":"bad","userName":"undefined"})", "imds", R"({"name":"ok","userName":"svc"})"),
              IsEmpty());
}

TEST(DiffCallers, OnWireServerARootWithoutANameMayBeAnybody) {
  EXPECT_THAT(closed_by(R"({"name":"bad","userName":"eve"})", "wireserver"),
              ElementsAre("ok by a user without a name, uid 0"));
  EXPECT_THAT(closed_by(R"({"name":"bad","userName":"root"})", "wireserver"), ElementsAre("ok by user root"));
}

TEST(DiffCallers, OnWireServerARootWithoutANameIsNotRoot) {
  const std::string both = R"({"name":"all"},{"name":"root","userName":"root"})";
  const auto report = diff(rules(both, R"({"role":"r","identities":["all"]})", "wireserver"),
                           rules(both, R"({"role":"r","identities":["root"]})", "wireserver"), {});
  ASSERT_TRUE(report);
  ASSERT_EQ(report->differences.size(), 1U);
  EXPECT_EQ(describe(report->differences.front().witness.caller), "a user without a name, uid 0");
}

TEST(DiffCallers, GroupsThatAreNotKnownMayBeOneWithoutAName) {
  EXPECT_THAT(closed_by(R"({"name":"bad","groupName":""})"),
              ElementsAre("ok by user somebody, groups that are not known"));
}

TEST(DiffCallers, ACgroupThatIsGoneMayBeAnywhere) {
  const std::string nowhere = R"("openmsp":{"unit":"a.service","cgroup":"/system.slice/b.service"}})";
  EXPECT_THAT(closed_by(R"({"name":"bad",)" + nowhere), ElementsAre("ok by user somebody, a cgroup that is gone"));
  EXPECT_THAT(closed_by(R"({"name":"bad",)" + nowhere, "imds", R"({"name":"ok","openmsp":{"unit":"c.service"}})"),
              IsEmpty());
  EXPECT_THAT(closed_by(R"({"name":"bad","openmsp":{"unit":"a.service"}})"),
              ElementsAre("ok by user somebody, unit a.service"));
}

TEST(DiffCallers, ALinksProcessHasTheNameOfItsFile) {
  EXPECT_THAT(closed_by(R"({"name":"bad","processName":"python3.11"})", "imds",
                        R"({"name":"ok","exePath":"/usr/bin/python3"})"),
              ElementsAre("ok by user somebody, executable /usr/bin/python3, a link, process python3.11"));
}

TEST(DiffCallers, AnExecutableMayBeALink) {
  const std::string some = R"({"name":"named","exePath":"/bin/x","processName":"x"},{"name":"any","exePath":"/bin/x"})";
  const auto report = diff(rules(some, R"({"role":"r","identities":["named"]})"),
                           rules(some, R"({"role":"r","identities":["any"]})"), {});
  ASSERT_TRUE(report);
  ASSERT_EQ(report->differences.size(), 1U);
  EXPECT_EQ(describe(report->differences.front().witness.caller),
            "user somebody, executable /bin/x, a link, process another");
}

TEST(DiffCallers, NobodyIsMadeUpWhoCannotBe) {
  const auto opened_for = [](const std::string& identity) {
    const RuleSource a = rules(identity, "");
    const auto report = diff(a, rules(identity, R"({"role":"r","identities":["i"]})"), {});
    EXPECT_TRUE(report);
    return report->differences.empty() ? std::string() : describe(report->differences.front().witness.caller);
  };
  EXPECT_EQ(opened_for(R"({"name":"i","groupName":""})"), "");
  EXPECT_EQ(opened_for(R"({"name":"i","userName":"undefined"})"), "");
  EXPECT_EQ(opened_for(R"({"name":"i","exePath":"bin/x"})"), "");
  EXPECT_EQ(opened_for(R"({"name":"i","exePath":"/bin/../x"})"), "");
  EXPECT_EQ(opened_for(R"({"name":"i","processName":"/bin/x"})"), "");
  EXPECT_EQ(opened_for(R"({"name":"i","openmsp":{"unit":"a.service","cgroup":"/system.slice/b.service"}})"), "");
  EXPECT_EQ(opened_for(R"({"name":"i","exePath":"/bin//x/","processName":"x"})"), "user somebody, executable /bin/x");
}

}  // namespace
}  // namespace msp::authoring
