// SPDX-License-Identifier: Apache-2.0
#include "base/rules_extension.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/rules_document.h"

namespace msp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string item_with(std::string_view rules) {
  return R"({"defaultAccess":"allow","mode":"audit","id":"x","rules":)" + std::string(rules) + "}";
}
std::string privilege(std::string_view openmsp) {
  return item_with(R"({"privileges":[{"name":"p","path":"/","openmsp":)" + std::string(openmsp) + "}]}");
}
std::string identity(std::string_view openmsp) {
  return item_with(R"({"identities":[{"name":"i","openmsp":)" + std::string(openmsp) + "}]}");
}
std::string assignment(std::string_view openmsp) {
  return item_with(R"({"roleAssignments":[{"role":"r","identities":[],"openmsp":)" + std::string(openmsp) + "}]}");
}

RuleItem parsed(const std::string& text) {
  Result<RuleItem> item = parse_rule_item(text, Source::kHost);
  EXPECT_TRUE(item) << text << ": " << item.error().text();
  return item ? *std::move(item) : RuleItem();
}
/// The one problem, or all of them together.
std::string problem(const std::string& text) {
  const RuleItem item = parsed(text);
  std::string all;
  for (const std::string& line : item.rules ? item.rules->problems : item.problems) {
    all += line + "\n";
  }
  return all;
}
std::string written(const RuleItem& item) {
  json::Writer writer;
  write_rule_item(writer, item);
  return std::move(writer).take();
}

TEST(RulesExtension, EveryFieldIsReadAndWrittenAsItWas) {
  const std::string id(64, 'b');
  const std::string text = item_with(
      R"({"privileges":[{"name":"p","path":"/","openmsp":{"methods":["GET","POST"]}}],"roles":[],"identities":[)"
      R"({"name":"i","openmsp":{"unit":"walinuxagent.service","cgroup":"/system.slice/x.service","container":")" +
      id + R"(","exeSha256":")" + id +
      R"("}}],"roleAssignments":[{"role":"r","identities":[],"openmsp":{"effect":"deny","dryRun":true}}]})");
  const RuleItem item = parsed(text);
  EXPECT_THAT(item.rules->problems, IsEmpty());
  EXPECT_THAT(item.rules->privileges->at(0).openmsp.methods, ElementsAre("GET", "POST"));
  EXPECT_EQ(item.rules->identities->at(0).openmsp.unit, "walinuxagent.service");
  EXPECT_EQ(item.rules->identities->at(0).openmsp.container, id);
  EXPECT_TRUE(item.rules->role_assignments->at(0).openmsp.deny);
  EXPECT_TRUE(item.rules->role_assignments->at(0).openmsp.dry_run);
  EXPECT_EQ(written(item), text);
  EXPECT_EQ(parsed(written(item)), item);
}

TEST(RulesExtension, WhatIsAsByDefaultIsNotWritten) {
  const RuleItem item = parsed(assignment(R"({"effect":"allow","dryRun":false})"));
  EXPECT_THAT(item.rules->problems, IsEmpty());
  EXPECT_EQ(written(item), item_with(R"({"roleAssignments":[{"role":"r","identities":[]}]})"));
  EXPECT_EQ(problem(identity("{}")), "");
}

TEST(RulesExtension, ValuesThatPassAndTheirNeighboursThatDoNot) {
  const std::string twelve = "0123456789ab";
  const std::string id(64, 'c');
  for (const std::string& good :
       {std::string(R"({"unit":"a.service"})"), std::string(R"({"unit":"user@1000.service"})"),
        std::string(R"({"unit":"run-u1.scope"})"), std::string(R"({"cgroup":"/a"})"),
        std::string(R"({"cgroup":"/a b/..c"})"), R"({"container":")" + twelve + R"("})",
        R"({"exeSha256":")" + std::string(64, 'F') + R"("})"}) {
    EXPECT_EQ(problem(identity(good)), "") << good;
  }
  for (const std::string& bad :
       {std::string(R"({"unit":""})"), std::string(R"({"unit":".service"})"), std::string(R"({"unit":"a"})"),
        std::string(R"({"unit":"system.slice"})"), std::string(R"({"unit":"a/b.service"})"),
        std::string(R"({"unit":"a b.service"})"), std::string(R"({"cgroup":"a"})"), std::string(R"({"cgroup":"/"})"),
        std::string(R"({"cgroup":"/a/"})"), std::string(R"({"cgroup":"/a//b"})"), std::string(R"({"cgroup":"/a/.."})"),
        R"({"container":")" + twelve.substr(1) + R"("})", R"({"container":")" + id + R"(0"})",
        std::string(R"({"container":"0123456789AB"})"), R"({"exeSha256":")" + id.substr(1) + R"("})",
        std::string(R"({"unit":null})"), std::string(R"({"unit":7})"), std::string(R"({"unit":["a.service"]})")}) {
    EXPECT_THAT(problem(identity(bad)), HasSubstr("/rules/identities/0/openmsp/")) << bad;
  }
  EXPECT_EQ(problem(privilege(R"({"methods":["DELETE","GET"]})")), "");
  for (const char* bad : {R"({"methods":[]})", R"({"methods":"GET"})", R"({"methods":["get"]})", R"({"methods":[1]})",
                          R"({"methods":["GET","GET"]})", R"({"methods":["TRACE"]})", R"({"methods":null})"}) {
    EXPECT_THAT(problem(privilege(bad)), HasSubstr("/rules/privileges/0/openmsp/methods")) << bad;
  }
  for (const char* bad : {R"({"effect":"Deny"})", R"({"effect":true})", R"({"dryRun":"true"})", R"({"dryRun":1})",
                          R"({"effect":null})"}) {
    EXPECT_THAT(problem(assignment(bad)), HasSubstr("/rules/roleAssignments/0/openmsp/")) << bad;
  }
}

TEST(RulesExtension, NothingInsideIsIgnored) {
  EXPECT_THAT(problem(identity(R"({"unit":"a.service","units":"b.service"})")), HasSubstr("openmsp/units"));
  EXPECT_THAT(problem(identity(R"({"unit":"a.service","unit":"b.service"})")), HasSubstr("occurs twice"));
  EXPECT_THAT(problem(identity("null")), HasSubstr("expected an object"));
  EXPECT_THAT(problem(identity("[]")), HasSubstr("expected an object"));
  EXPECT_THAT(problem(item_with(R"({"identities":[{"name":"i","openmsp":{},"openmsp":{}}]})")),
              HasSubstr("/rules/identities/0/openmsp at line 1, column "));
  EXPECT_THAT(problem(item_with(R"({"roles":[{"name":"r","privileges":[],"openmsp":{}}]})")),
              HasSubstr("/rules/roles/0"));
  EXPECT_THAT(problem(item_with(R"({"openmsp":{}})")), HasSubstr("/rules/openmsp"));
  EXPECT_THAT(problem(R"({"defaultAccess":"","mode":"","id":"","openmsp":{}})"), HasSubstr("/openmsp"));
  // Outside, the field's tolerance stays.
  EXPECT_EQ(problem(item_with(R"({"identities":[{"name":"i","openMSP":{"unit":1},"unit":2}]})")), "");
}

TEST(RulesExtension, AllProblemsComeAtOnceEachWithItsPlace) {
  const RuleItem item = parsed(
      "{\"defaultAccess\":\"allow\",\"mode\":\"audit\",\"id\":\"x\",\"rules\":{\n"
      " \"privileges\":[{\"name\":\"p\",\"path\":\"/\",\n  \"openmsp\":{\"methods\":[]}}],\n"
      " \"identities\":[{\"name\":\"i\",\n  \"openmsp\":{\"unit\":\"x\",\"other\":1}}]}}");
  EXPECT_THAT(item.rules->problems,
              ElementsAre(HasSubstr("/rules/privileges/0/openmsp/methods at line 3, column 24: names no method"),
                          HasSubstr("/rules/identities/0/openmsp/unit at line 5, column 21: must be the full name"),
                          HasSubstr("/rules/identities/0/openmsp/other at line 5, column 25: is not known")));
}

TEST(RulesExtension, RulesWithAProblemAreNeverWrittenAsRulesWithout) {
  for (const std::string& text :
       {identity(R"({"unit":"x"})"), privilege(R"({"methods":[]})"), assignment(R"({"effect":"no"})"),
        std::string(R"({"defaultAccess":"","mode":"","id":"","openmsp":{}})")}) {
    EXPECT_NE(problem(text), "");
    EXPECT_NE(problem(written(parsed(text))), "") << text;
  }
}

TEST(RulesExtension, ProblemsAreBoundedInNumber) {
  std::string identities;
  for (int i = 0; i < 1000; ++i) {
    identities += std::string(i == 0 ? "" : ",") + R"({"name":"i","openmsp":{"unit":"x"}})";
  }
  const RuleItem item = parsed(item_with(R"({"identities":[)" + identities + "]}"));
  ASSERT_EQ(item.rules->problems.size(), json::Problems::kMost + 1);
  EXPECT_EQ(item.rules->problems.back(), "and 900 more");
}

}  // namespace
}  // namespace msp
