// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace msp::authoring {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

struct Parts {
  std::string head = R"("defaultAccess":"deny","mode":"enforce","id":"r")";
  std::string privileges = R"({"name":"token","path":"/metadata/token","queryParameters":{"k":"v"}})";
  std::string roles = R"({"name":"reader","privileges":["token"]})";
  std::string identities = R"({"name":"app","userName":"svc"},{"name":"web","userName":"www","exePath":"/opt/web"})";
  std::string assignments = R"({"role":"reader","identities":["app"]})";

  RuleSource source(const std::string& service = "imds") const {
    auto out =
        read_rules("{\"" + service + "\":{" + head + R"(,"rules":{"privileges":[)" + privileges + R"(],"roles":[)" +
                       roles + R"(],"identities":[)" + identities + R"(],"roleAssignments":[)" + assignments + "]}}}",
                   "r.json");
    EXPECT_TRUE(out) << (out ? "" : out.error().text());
    return out ? *out : RuleSource();
  }
};

DiffReport compare(const RuleSource& a, const RuleSource& b, policy::Matching matching = policy::Matching::kEnforce) {
  auto out = diff(a, b, {.matching = matching});
  EXPECT_TRUE(out);
  return out ? *out : DiffReport();
}

std::vector<std::string> pairs(const DiffReport& report) {
  std::vector<std::string> out;
  for (const Difference& difference : report.differences) {
    out.push_back((difference.opens ? "+" : "-") + difference.privilege + "/" + difference.identity);
  }
  return out;
}

TEST(Diff, EqualMeaningIsNoDifference) {
  Parts other;
  other.privileges = R"({"name":"t2","path":"/Metadata/Token","queryParameters":{"K":"V"}},{"name":"x","path":"/x"})";
  other.roles = R"({"name":"r1","privileges":["t2","x"]},{"name":"r2","privileges":["t2"]})";
  other.identities = R"({"name":"b","userName":"www","exePath":"/opt/web"},{"name":"a","userName":"svc"})";
  other.assignments = R"({"role":"r2","identities":["a","gone"]})";
  // "x" is held by a role that nobody has: it closes what the default closes anyway.
  EXPECT_TRUE(compare(Parts().source(), other.source()).same());
  other.assignments = R"({"role":"r1","identities":["a"]})";
  EXPECT_THAT(pairs(compare(Parts().source(), other.source())), ElementsAre("+x/a"));
}

TEST(Diff, EachPairThatOpensOrClosesHasAWitness) {
  Parts b;
  b.assignments = R"({"role":"reader","identities":["web"]})";
  const DiffReport report = compare(Parts().source(), b.source());
  ASSERT_THAT(pairs(report), ElementsAre("+token/web", "-token/app"));
  const Difference& opens = report.differences[0];
  EXPECT_EQ(opens.witness.target, "/metadata/token?k=v");
  EXPECT_EQ(opens.witness.method, "GET");
  EXPECT_EQ(opens.witness.caller.user, "www");
  EXPECT_EQ(opens.witness.caller.exe, "/opt/web");
  EXPECT_EQ(opens.a.code, "identity_mismatch");
  EXPECT_EQ(opens.b.ground, "rule");
}

/// "app" may ask for all of /metadata and, by a privilege of its own, for the token.
Parts wide_and_token() {
  Parts out;
  out.privileges = R"({"name":"wide","path":"/metadata"},{"name":"token","path":"/metadata/token"})";
  out.roles = R"({"name":"rw","privileges":["wide"]},{"name":"rt","privileges":["token"]})";
  out.assignments = R"({"role":"rw","identities":["web","app"]},{"role":"rt","identities":["web","app"]})";
  return out;
}

TEST(Diff, APairIsToldBesideABroaderPrivilegeOfTheSameCaller) {
  const Parts a = wide_and_token();
  Parts both_lost = a;
  both_lost.assignments = R"({"role":"rw","identities":["web"]},{"role":"rt","identities":["web"]})";
  Parts wide_lost = a;
  wide_lost.assignments = R"({"role":"rw","identities":["web"]},{"role":"rt","identities":["web","app"]})";
  const DiffReport both = compare(a.source(), both_lost.source());
  ASSERT_THAT(pairs(both), ElementsAre("-token/app", "-wide/app"));
  EXPECT_EQ(both.differences[0].witness.target, "/metadata/token");
  EXPECT_EQ(both.differences[1].witness.target, "/metadata");
  EXPECT_THAT(pairs(compare(a.source(), wide_lost.source())), ElementsAre("-wide/app"));
  EXPECT_THAT(pairs(compare(both_lost.source(), a.source())), ElementsAre("+token/app", "+wide/app"));
  EXPECT_THAT(pairs(compare(both_lost.source(), wide_lost.source())), ElementsAre("+token/app"));
}

TEST(Diff, APairIsToldUnderEachNameThatGrantsIt) {
  Parts a;
  a.identities += R"(,{"name":"all"},{"name":"app2","userName":"svc"})";
  a.assignments = R"({"role":"reader","identities":["app","app2","all"]})";
  Parts b = a;
  b.assignments = "";
  EXPECT_THAT(pairs(compare(a.source(), b.source())), ElementsAre("-token/all", "-token/app", "-token/app2"));
}

TEST(Diff, APairThatOnlyTheRefusingSideGrantsIsTold) {
  Parts a;
  a.assignments = R"({"role":"reader","identities":["app"]},)"
                  R"({"role":"reader","identities":["app"],"openmsp":{"effect":"deny"}})";
  Parts b;
  b.head = R"("defaultAccess":"allow","mode":"enforce","id":"r")";
  b.privileges = R"({"name":"other","path":"/other"})";
  b.roles = R"({"name":"reader","privileges":["other"]})";
  EXPECT_THAT(pairs(compare(a.source(), b.source())), testing::Contains("+token/app"));
}

TEST(Diff, ADefaultThatChangesIsForThoseThatNoRuleNames) {
  Parts b;
  b.head = R"("defaultAccess":"allow","mode":"enforce","id":"r")";
  const DiffReport report = compare(Parts().source(), b.source());
  ASSERT_THAT(pairs(report), ElementsAre("+/"));
  EXPECT_EQ(report.differences[0].witness.caller.user, "somebody");
  ASSERT_THAT(report.heads, SizeIs(1));
  EXPECT_EQ(report.heads[0].what, "defaultAccess");
}

TEST(Diff, APrivilegeBesideADefaultThatAllowsCloses) {
  Parts a;
  a.head = R"("defaultAccess":"allow","mode":"enforce","id":"r")";
  a.privileges = R"({"name":"other","path":"/other"})";
  a.roles = R"({"name":"reader","privileges":["other"]})";
  Parts b = a;
  b.privileges += R"(,{"name":"token","path":"/metadata/token"})";
  EXPECT_THAT(pairs(compare(a.source(), b.source())), ElementsAre("-token/"));
  EXPECT_THAT(pairs(compare(b.source(), a.source())), ElementsAre("+token/"));
}

TEST(Diff, ModesCount) {
  Parts b;
  b.head = R"("defaultAccess":"deny","mode":"audit","id":"r")";
  const DiffReport report = compare(Parts().source(), b.source());
  EXPECT_FALSE(report.differences.empty());
  EXPECT_EQ(report.heads.at(0).what, "mode");
  // What audit would refuse counts between two versions that only watch.
  Parts c = b;
  c.assignments = R"({"role":"reader","identities":["app","web"]})";
  EXPECT_THAT(pairs(compare(b.source(), c.source())), ElementsAre("+token/web"));
}

TEST(Diff, ItDependsOnWhoMatches) {
  Parts a;
  a.privileges = R"({"name":"token","path":"/metadata/token"})";
  Parts b;
  b.privileges = R"({"name":"token","path":"/metadata/token/"})";
  EXPECT_TRUE(compare(a.source(), b.source()).same());
  const DiffReport legacy = compare(a.source(), b.source(), policy::Matching::kOff);
  EXPECT_THAT(pairs(legacy), ElementsAre("-token/app"));
}

TEST(Diff, OnWireServerOnlyRootIsAsked) {
  Parts b;
  b.assignments = R"({"role":"reader","identities":["app","web"]})";
  EXPECT_TRUE(compare(Parts().source("wireserver"), b.source("wireserver")).same());
  Parts a;
  a.identities = b.identities = R"({"name":"app","userName":"svc"},{"name":"web","userName":"root"})";
  EXPECT_THAT(pairs(compare(a.source("wireserver"), b.source("wireserver"))), ElementsAre("+token/web"));
}

TEST(Diff, MethodsUnitsAndDeniesCount) {
  Parts b;
  b.privileges =
      R"({"name":"token","path":"/metadata/token","queryParameters":{"k":"v"},"openmsp":{"methods":["GET"]}})";
  const DiffReport methods = compare(Parts().source(), b.source());
  ASSERT_THAT(pairs(methods), ElementsAre("-token/app"));
  EXPECT_NE(methods.differences[0].witness.method, "GET");

  Parts c;
  c.identities = R"({"name":"app","userName":"svc","openmsp":{"unit":"a.service"}})";
  const DiffReport units = compare(Parts().source(), c.source());
  ASSERT_THAT(pairs(units), ElementsAre("-token/app"));
  EXPECT_EQ(units.differences[0].witness.caller.unit, "");

  Parts d;
  d.identities = R"({"name":"app","userName":"svc"},{"name":"bad","groupName":"g"})";
  d.assignments = R"({"role":"reader","identities":["app"]},)"
                  R"({"role":"reader","identities":["bad"],"openmsp":{"effect":"deny"}})";
  const DiffReport denies = compare(Parts().source(), d.source());
  ASSERT_THAT(pairs(denies), ElementsAre("-token/app"));
  EXPECT_THAT(denies.differences[0].witness.caller.groups, ElementsAre("g"));
  EXPECT_EQ(denies.differences[0].b.code, "explicit_deny");
  d.assignments = R"({"role":"reader","identities":["app"]},)"
                  R"({"role":"reader","identities":["bad"],"openmsp":{"effect":"deny","dryRun":true}})";
  EXPECT_TRUE(compare(Parts().source(), d.source()).same());
}

TEST(Diff, RulesThatCannotBeUsedCloseTheService) {
  Parts b;
  b.identities = R"({"name":"app","userName":"svc","openmsp":{"unti":"a.service"}})";
  const DiffReport report = compare(Parts().source(), b.source());
  EXPECT_THAT(pairs(report), ElementsAre("-token/app"));
  EXPECT_EQ(report.heads.at(0).what, "usable");
}

TEST(Diff, WhereARefusalStandsMakesNoDifference) {
  Parts a;
  a.identities = R"({"name":"app","userName":"svc","openmsp":{"unti":"a.service"}})";
  Parts b;
  b.identities = "\n" + a.identities;
  EXPECT_TRUE(compare(a.source(), b.source()).same());
  b.identities = R"({"name":"first"},)" + a.identities;
  EXPECT_TRUE(compare(a.source(), b.source()).same());
  // An array of resources is written on other lines, and has other pointers.
  const auto profile = read_rules(R"([{"id":"/p","properties":{"applicableHostEndpoint":"IMDS"}},
    {"id":"/p/versions/1","properties":{"mode":"Enforce","defaultAccess":"Deny","rules":{"identities":[)" +
                                      a.identities + "]}}}]",
                                  "p.json");
  ASSERT_TRUE(profile);
  EXPECT_TRUE(compare(a.source(), *profile).same());
  b.identities = R"({"name":"app","openmsp":{"cgruop":"/x"}})";
  EXPECT_EQ(compare(a.source(), b.source()).heads.at(0).what, "usable");
}

TEST(Diff, ASideWithoutRulesIsOpen) {
  const RuleSource none = *read_rules(R"({"wireserver":null,"imds":null})", "n.json");
  const DiffReport report = compare(none, Parts().source());
  EXPECT_FALSE(report.differences.empty());
  EXPECT_FALSE(report.differences[0].opens);
  EXPECT_EQ(report.heads.at(0).what, "rules");
}

Parts large(int privileges, int identities) {
  Parts out;
  out.privileges = out.roles = out.identities = out.assignments = "";
  for (int i = 0; i < privileges; ++i) {
    const std::string n = std::to_string(i);
    const std::string comma = i == 0 ? "" : ",";
    out.privileges += comma + R"({"name":"p)" + n + R"(","path":"/metadata/a)" + std::to_string(i % 97) + "/b" + n +
                      R"(","queryParameters":{"k":"v)" + n + "\"}}";
    out.roles += comma + R"({"name":"r)" + n + R"(","privileges":["p)" + n + "\"]}";
    out.assignments += comma + R"({"role":"r)" + n + R"(","identities":["i)" + std::to_string(i % identities) + "\"]}";
  }
  for (int i = 0; i < identities; ++i) {
    const std::string n = std::to_string(i);
    out.identities += (i == 0 ? "" : ",") + std::string(R"({"name":"i)") + n + R"(","userName":"u)" + n + "\"}";
  }
  return out;
}

TEST(Diff, LargeSetsAreComparedWhereTheyDiffer) {
  const Parts a = large(2000, 500);
  Parts b = a;
  b.assignments += R"(,{"role":"r7","identities":["i3"]})";
  const auto begin = std::chrono::steady_clock::now();
  const DiffReport report = compare(a.source(), b.source());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  EXPECT_THAT(pairs(report), ElementsAre("+p7/i3"));
  EXPECT_THAT(report.bounds, IsEmpty());
  EXPECT_LT(report.decisions, 1000U);
}

/// One path, privileges told apart by a value of the query, one role, one identity.
RuleSource by_value(int privileges) {
  Parts out;
  out.privileges = "";
  std::string names;
  for (int i = 0; i < privileges; ++i) {
    const std::string n = std::to_string(i);
    const std::string comma = i == 0 ? "" : ",";
    out.privileges += comma + R"({"name":"p)" + n + R"(","path":"/p","queryParameters":{"k":")" + n + "\"}}";
    names += comma + "\"p" + n + "\"";
  }
  out.roles = R"({"name":"reader","privileges":[)" + names + "]}";
  return out.source();
}

TEST(Diff, WorkGrowsAsTheRulesDo) {
  const DiffReport small = compare(by_value(100), by_value(50));
  const DiffReport large = compare(by_value(400), by_value(200));
  EXPECT_EQ(small.differences.size(), 50U);
  EXPECT_EQ(large.differences.size(), 200U);
  EXPECT_LT(large.steps, small.steps * 5);
}

TEST(Diff, AllWorkIsBounded) {
  const auto report = diff(by_value(200), by_value(100), {.max_steps = 20'000});
  ASSERT_TRUE(report);
  EXPECT_LT(report->steps, 21'000U);
  EXPECT_THAT(report->bounds, testing::Contains(testing::HasSubstr("the rest was not looked at")));
}

TEST(Diff, WhatWasBoundedIsSaid) {
  Parts b = large(50, 50);
  b.head = R"("defaultAccess":"allow","mode":"enforce","id":"r")";
  auto report = diff(large(50, 50).source(), b.source(), {.max_decisions = 20});
  ASSERT_TRUE(report);
  EXPECT_THAT(report->bounds, SizeIs(1));
  report = diff(large(50, 50).source(), b.source(), {});
  EXPECT_THAT(report->bounds, IsEmpty());
}

TEST(Diff, OneItemNeedsItsService) {
  const RuleSource one = *read_rules(R"({"defaultAccess":"deny","mode":"enforce","id":"r"})", "o.json");
  EXPECT_FALSE(diff(one, Parts().source(), {}));
  RuleSource named = one;
  named.assign(Service::kImds);
  EXPECT_TRUE(diff(named, Parts().source(), {}));
}

TEST(Diff, RulesInForceOfHostgaAreComparedWhereTheyAreOthers) {
  const auto in_force = [](const std::string& wireserver, const std::string& hostga) {
    const std::string rest = R"(,"mode":"enforce","id":"r"})";
    return *read_rules(R"({"inputRules":{"wireserver":{"defaultAccess":")" + wireserver + '"' + rest +
                           R"(,"hostga":{"defaultAccess":")" + hostga + '"' + rest + "}}",
                       "d.json");
  };
  const auto closes = compare(in_force("allow", "allow"), in_force("allow", "deny"));
  ASSERT_THAT(closes.differences, SizeIs(1));
  EXPECT_EQ(closes.differences[0].witness.service, Service::kHostGaPlugin);
  EXPECT_TRUE(compare(in_force("allow", "deny"), in_force("allow", "deny")).same());
}

}  // namespace
}  // namespace msp::authoring
