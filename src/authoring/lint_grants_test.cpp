// SPDX-License-Identifier: Apache-2.0
// What assignments give that another part of the same rules takes away, or has given already.
#include <gmock/gmock.h>

#include "authoring/lint.h"

namespace msp::authoring {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

struct Rules {
  std::string access = "deny";
  std::string privileges = R"({"name":"p","path":"/m/a"},{"name":"q","path":"/m/b"})";
  std::string roles = R"({"name":"r","privileges":["p","q"]})";
  std::string identities = R"({"name":"a","userName":"a"},{"name":"b","userName":"b"})";
  std::string assignments = R"({"role":"r","identities":["a","b"]})";

  std::vector<std::string> told(std::string_view code, const LintOptions& options = {}) const {
    auto parsed =
        RuleText::parse(R"({"mode":"enforce","id":"x","defaultAccess":")" + access + R"(","rules":{"privileges":[)" +
                            privileges + R"(],"roles":[)" + roles + R"(],"identities":[)" + identities +
                            R"(],"roleAssignments":[)" + assignments + "]}}",
                        "r.json");
    EXPECT_TRUE(parsed);
    auto report = lint(*parsed, options);
    EXPECT_TRUE(report);
    std::vector<std::string> out;
    for (const Finding& finding : report->findings) {
      if (finding.code == code) {
        EXPECT_EQ(finding.severity, Severity::kWarning);
        out.push_back(finding.pointer + ": " + finding.text);
      }
    }
    return out;
  }
};

std::string deny(const std::string& role, const std::string& identity) {
  return R"(,{"role":")" + role + R"(","identities":[")" + identity + R"("],"openmsp":{"effect":"deny"}})";
}

TEST(LintGrants, AnAllowThatIsAllDeniedIsFound) {
  Rules rules;
  EXPECT_THAT(rules.told("denied-anyway"), IsEmpty());
  rules.assignments += deny("r", "b");
  EXPECT_THAT(rules.told("denied-anyway"), ElementsAre(StartsWith("/rules/roleAssignments/0/identities/1: ")));
  EXPECT_THAT(rules.told("denied-anyway", {.target = Target::kField}), IsEmpty());
  // A broader deny: of whoever is b's user, and of all that lies below /m.
  rules.identities =
      R"({"name":"a","userName":"a"},{"name":"b","userName":"b","groupName":"g"},{"name":"n","userName":"b"})";
  rules.privileges += R"(,{"name":"m","path":"/m"})";
  rules.roles += R"(,{"name":"all","privileges":["m"]})";
  rules.assignments = R"({"role":"r","identities":["a","b"]})" + deny("all", "n");
  EXPECT_THAT(rules.told("denied-anyway"), ElementsAre(StartsWith("/rules/roleAssignments/0/identities/1: ")));
}

TEST(LintGrants, WhatADenyLeavesIsNoFinding) {
  Rules rules;
  rules.roles += R"(,{"name":"s","privileges":["q"]})";
  rules.assignments += deny("s", "b");
  EXPECT_THAT(rules.told("denied-anyway"), IsEmpty());
  rules.identities =
      R"({"name":"a","userName":"a"},{"name":"b","userName":"b"},{"name":"c","userName":"b","groupName":"g"})";
  rules.assignments = R"({"role":"r","identities":["a","b"]})" + deny("r", "c");
  EXPECT_THAT(rules.told("denied-anyway"), IsEmpty());
  // A dry run takes nothing away.
  rules.assignments = R"({"role":"r","identities":["a","b"]},
      {"role":"r","identities":["b"],"openmsp":{"effect":"deny","dryRun":true}})";
  EXPECT_THAT(rules.told("denied-anyway"), IsEmpty());
}

TEST(LintGrants, AnIdentityBesideABroaderOneIsFound) {
  Rules rules;
  EXPECT_THAT(rules.told("covered-identity"), IsEmpty());
  rules.identities = R"({"name":"a","userName":"u","exePath":"/bin/x"},{"name":"b","userName":"u"})";
  EXPECT_THAT(rules.told("covered-identity"), ElementsAre(StartsWith("/rules/roleAssignments/0/identities/0: ")));
  rules.identities = R"({"name":"a","groupName":"g"},{"name":"b","userName":"u","groupName":"g"})";
  EXPECT_THAT(rules.told("covered-identity"), ElementsAre(StartsWith("/rules/roleAssignments/0/identities/1: ")));
  rules.identities = R"({"name":"a","userName":"u"},{"name":"b","userName":"u"})";
  EXPECT_THAT(rules.told("covered-identity"), ElementsAre(StartsWith("/rules/roleAssignments/0/identities/1: ")));
  rules.assignments = R"({"role":"r","identities":["a"]},{"role":"r","identities":["b"]})";
  EXPECT_THAT(rules.told("covered-identity"), IsEmpty());
}

TEST(LintGrants, APlaceWithinABroaderOneIsFound) {
  Rules rules;
  rules.identities = R"({"name":"a","userName":"u","openmsp":{"cgroup":"/s"}},
      {"name":"b","userName":"u","openmsp":{"cgroup":"/s/x"}})";
  EXPECT_THAT(rules.told("covered-identity"), ElementsAre(StartsWith("/rules/roleAssignments/0/identities/1: ")));
  rules.identities = R"({"name":"a","userName":"u","openmsp":{"cgroup":"/s"}},
      {"name":"b","userName":"u","openmsp":{"cgroup":"/sx"}})";
  EXPECT_THAT(rules.told("covered-identity"), IsEmpty());
  rules.identities = R"({"name":"a","userName":"u","openmsp":{"container":"0123456789ab"}},
      {"name":"b","userName":"u","openmsp":{"container":"0123456789abcd"}})";
  EXPECT_THAT(rules.told("covered-identity"), ElementsAre(StartsWith("/rules/roleAssignments/0/identities/1: ")));
}

TEST(LintGrants, MethodsThatTheDefaultLeavesOpenAreFound) {
  Rules rules;
  rules.privileges = R"({"name":"p","path":"/m/a","openmsp":{"methods":["GET","HEAD"]}},{"name":"q","path":"/m/b"})";
  EXPECT_THAT(rules.told("other-methods-open"), IsEmpty());
  rules.access = "Allow";
  EXPECT_THAT(rules.told("other-methods-open"), ElementsAre(StartsWith("/rules/privileges/0/openmsp/methods: ")));
  EXPECT_THAT(rules.told("other-methods-open"), Contains(HasSubstr("DELETE, OPTIONS, PATCH, POST, PUT")));
  EXPECT_THAT(rules.told("other-methods-open"), Not(Contains(HasSubstr("GET"))));
  // Another privilege along the path names the rest.
  rules.privileges = R"({"name":"p","path":"/m/a","openmsp":{"methods":["GET"]}},{"name":"q","path":"/m"})";
  EXPECT_THAT(rules.told("other-methods-open"), IsEmpty());
  rules.privileges = R"({"name":"p","path":"/m/a","openmsp":{"methods":["GET"]}},
      {"name":"q","path":"/m","openmsp":{"methods":["HEAD","POST","PUT","DELETE","OPTIONS","PATCH"]}})";
  EXPECT_THAT(rules.told("other-methods-open"), ElementsAre(StartsWith("/rules/privileges/1/")));
}

}  // namespace
}  // namespace msp::authoring
