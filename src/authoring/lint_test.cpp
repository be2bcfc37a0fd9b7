// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace msp::authoring {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A set without anything to say about: what each test breaks in one place.
struct Parts {
  std::string head = R"("defaultAccess":"deny","mode":"enforce","id":"r-1")";
  std::string privileges = R"({"name":"token","path":"/metadata/identity/oauth2/token"})";
  std::string roles = R"({"name":"reader","privileges":["token"]})";
  std::string identities = R"({"name":"app","userName":"svc","exePath":"/opt/app/app"})";
  std::string assignments = R"({"role":"reader","identities":["app"]})";

  std::string text() const {
    return "{" + head + R"(,"rules":{"privileges":[)" + privileges + R"(],"roles":[)" + roles + R"(],"identities":[)" +
           identities + R"(],"roleAssignments":[)" + assignments + "]}}";
  }
};

LintReport report_of(const std::string& text, const LintOptions& options = {}) {
  auto parsed = RuleText::parse(text, "r.json");
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text());
  auto report = lint(*parsed, options);
  EXPECT_TRUE(report) << (report ? "" : report.error().text());
  return report ? *report : LintReport();
}

std::vector<std::string> told(const LintReport& report, Severity least = Severity::kWarning) {
  std::vector<std::string> out;
  for (const Finding& finding : report.findings) {
    if (finding.severity >= least) {
      out.push_back(std::string(finding.code) + " " + finding.pointer);
    }
  }
  return out;
}

std::vector<std::string> told(const std::string& text, const LintOptions& options = {}) {
  return told(report_of(text, options));
}

constexpr LintOptions kField{.target = Target::kField};

TEST(Lint, ACleanSetHasNoFindings) { EXPECT_THAT(told(Parts().text()), IsEmpty()); }

TEST(Lint, PlacesAreLinesAndPointers) {
  Parts parts;
  parts.roles = "\n  {\"name\":\"reader\",\"privileges\":[\"token\", \"tokens\"]}";
  const LintReport report = report_of(parts.text());
  ASSERT_EQ(report.findings.size(), 1U + report.count(Severity::kNote));
  EXPECT_EQ(report.findings[0].pointer, "/rules/roles/0/privileges/1");
  EXPECT_EQ(report.findings[0].place.line, 2U);
  EXPECT_EQ(report.findings[0].place.column, 43U);
  EXPECT_EQ(report.findings[0].code, "dangling-privilege");
}

// A program that is run from the root of a mount without a path has no name, and any user may run one so.
TEST(Lint, AnExecutableWithoutNameIsSomebody) {
  for (const char* identity :
       {R"({"name":"app","processName":""})", R"({"name":"app","userName":"a","processName":""})",
        R"({"name":"app","exePath":"/opt/app","processName":""})"}) {
    Parts parts;
    parts.identities = identity;
    EXPECT_THAT(told(parts.text()), ElementsAre("forgeable-identity /rules/identities/0")) << identity;
  }
}

// The agent reads such rules, and denies everything by them.
TEST(Lint, ARepeatedExtensionIsRefusedAndNotUnreadable) {
  Parts parts;
  parts.identities = R"({"name":"app","userName":"a","openmsp":{"unit":"a.service"},"openmsp":{"unit":"a.service"}})";
  const LintReport report = report_of(parts.text());
  EXPECT_FALSE(report.unreadable);
  EXPECT_THAT(told(parts.text()), Contains("openmsp-refused /rules/identities/0/openmsp"));
}

TEST(Lint, NamesThatCanonicalMatchingTakesForOneAreAnError) {
  for (const char* query : {R"({"a b":"1","a+b":"2"})", R"({"k":"x","K=x":"y"})"}) {
    Parts parts;
    parts.privileges = fmt::format(R"({{"name":"token","path":"/a","queryParameters":{}}})", query);
    EXPECT_THAT(told(parts.text()), testing::Contains(testing::StartsWith("query-keys-alike "))) << query;
  }
}

TEST(Lint, TheRemedyOfAPrivilegeThatLegacyNeverMeetsIsForItsCause) {
  for (const auto& [privilege, remedy] :
       {std::pair{R"({"name":"token","path":"/a","queryParameters":{"":"x"}})", "name the key"},
        std::pair{R"({"name":"token","path":"a"})", "begin it with '/'"}}) {
    Parts parts;
    parts.privileges = privilege;
    const LintReport report = report_of(parts.text(), {.matching = policy::Matching::kOff});
    EXPECT_TRUE(std::ranges::any_of(report.findings, [&](const Finding& finding) {
      return finding.code == "unmatchable-privilege" && finding.remedy.contains(remedy);
    })) << privilege;
  }
}

struct Mistake {
  const char* wanted;
  std::string Parts::* part;
  const char* text;
};

class OneMistake : public testing::TestWithParam<Mistake> {};

// The same set without the mistake is clean: ACleanSetHasNoFindings.
TEST_P(OneMistake, IsFound) {
  Parts parts;
  parts.*GetParam().part = GetParam().text;
  EXPECT_THAT(told(parts.text()), Contains(GetParam().wanted));
}

INSTANTIATE_TEST_SUITE_P(
    Lint, OneMistake,
    testing::Values(
        Mistake{"unknown-mode /mode", &Parts::head, R"("defaultAccess":"deny","mode":"strict","id":"r")"},
        Mistake{"padded-mode /mode", &Parts::head, R"("defaultAccess":"deny","mode":"audit ","id":"r")"},
        Mistake{"mode-disabled /mode", &Parts::head, R"("defaultAccess":"deny","mode":"Disabled","id":"r")"},
        Mistake{"padded-default-access /defaultAccess", &Parts::head,
                R"("defaultAccess":"allow ","mode":"audit","id":"r")"},
        Mistake{"unknown-default-access /defaultAccess", &Parts::head,
                R"("defaultAccess":"yes","mode":"audit","id":"r")"},
        Mistake{"blank-id /id", &Parts::head, R"("defaultAccess":"deny","mode":"audit","id":" ")"},
        Mistake{"missing-member ", &Parts::head, R"("defaultAccess":"deny","mode":"audit")"},
        Mistake{"missing-member /mode", &Parts::head, R"("defaultAccess":"deny","mode":null,"id":"r")"},
        Mistake{"wrong-type /id", &Parts::head, R"("defaultAccess":"deny","mode":"audit","id":7)"},
        Mistake{"repeated-member /mode", &Parts::head,
                R"("defaultAccess":"deny","mode":"audit","mode":"audit","id":"r")"},
        Mistake{"unknown-member /defaultacess", &Parts::head,
                R"("defaultAccess":"deny","defaultacess":"allow","mode":"audit","id":"r")"},
        Mistake{"unknown-member /rules/privileges/0/querryParameters", &Parts::privileges,
                R"({"name":"token","path":"/a","querryParameters":{"a":"b"}})"},
        Mistake{"wrong-type /rules/privileges/0/queryParameters/a", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a":1}})"},
        Mistake{"repeated-query-key /rules/privileges/0/queryParameters/a", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a":"1","a":"2"}})"},
        Mistake{"query-keys-alike /rules/privileges/0/queryParameters/A", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a":"1","A":"2"}})"},
        Mistake{"blank-query-key /rules/privileges/0/queryParameters/", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"":"1"}})"},
        Mistake{"escape-in-rule /rules/privileges/0/queryParameters/a", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a":"b%20c"}})"},
        Mistake{"plus-in-rule /rules/privileges/0/queryParameters/a+b", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a+b":"x"}})"},
        Mistake{"equals-in-key /rules/privileges/0/queryParameters/a=b", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a=b":"x"}})"},
        Mistake{"plus-in-rule /rules/privileges/0/queryParameters/a", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a":"b+c"}})"},
        Mistake{"ampersand-in-rule /rules/privileges/0/queryParameters/a", &Parts::privileges,
                R"({"name":"token","path":"/a","queryParameters":{"a":"b&c"}})"},
        Mistake{"query-not-ascii /rules/privileges/0/queryParameters/a", &Parts::privileges,
                "{\"name\":\"token\",\"path\":\"/a\",\"queryParameters\":{\"a\":\"b\u00fcro\"}}"},
        Mistake{"no-canonical-form /rules/privileges/0", &Parts::privileges, R"({"name":"token","path":"/a%zz"})"},
        Mistake{"no-canonical-form /rules/privileges/0", &Parts::privileges,
                "{\"name\":\"token\",\"path\":\"/\u00e9\"}"},
        Mistake{"path-without-slash /rules/privileges/0/path", &Parts::privileges, R"({"name":"token","path":"a"})"},
        Mistake{"escape-in-rule /rules/privileges/0/path", &Parts::privileges, R"({"name":"token","path":"/a%20b"})"},
        Mistake{"matches-every-request /rules/privileges/0/path", &Parts::privileges, R"({"name":"token","path":"/"})"},
        Mistake{"duplicate-name /rules/privileges/1/name", &Parts::privileges,
                R"({"name":"token","path":"/a"},{"name":"token","path":"/b"})"},
        Mistake{"duplicate-privilege /rules/privileges/1", &Parts::privileges,
                R"({"name":"token","path":"/a"},{"name":"u","path":"/A"})"},
        Mistake{"privilege-in-no-role /rules/privileges/1", &Parts::privileges,
                R"({"name":"token","path":"/a"},{"name":"u","path":"/b"})"},
        Mistake{"dangling-privilege /rules/roles/0/privileges/1", &Parts::roles,
                R"({"name":"reader","privileges":["token","Token"]})"},
        Mistake{"duplicate-reference /rules/roles/0/privileges/1", &Parts::roles,
                R"({"name":"reader","privileges":["token","token"]})"},
        Mistake{"empty-role /rules/roles/1/privileges", &Parts::roles,
                R"({"name":"reader","privileges":["token"]},{"name":"x","privileges":[]})"},
        Mistake{"role-unassigned /rules/roles/1", &Parts::roles,
                R"({"name":"reader","privileges":["token"]},{"name":"x","privileges":["token"]})"},
        Mistake{"dangling-role /rules/roleAssignments/0/role", &Parts::assignments,
                R"({"role":"writer","identities":["app"]})"},
        Mistake{"dangling-identity /rules/roleAssignments/0/identities/1", &Parts::assignments,
                R"({"role":"reader","identities":["app","apps"]})"},
        Mistake{"empty-assignment /rules/roleAssignments/0/identities", &Parts::assignments,
                R"({"role":"reader","identities":[]})"},
        Mistake{"unreachable-assignment /rules/roleAssignments/0", &Parts::assignments,
                R"({"role":"reader","identities":["apps"]})"},
        Mistake{"redundant-assignment /rules/roleAssignments/1", &Parts::assignments,
                R"({"role":"reader","identities":["app"]},{"role":"reader","identities":["app"]})"},
        Mistake{"identity-unused /rules/identities/1", &Parts::identities,
                R"({"name":"app","userName":"svc"},{"name":"b","userName":"b"})"},
        Mistake{"identity-everybody /rules/identities/0", &Parts::identities, R"({"name":"app"})"},
        Mistake{"identity-nobody /rules/identities/0", &Parts::identities, R"({"name":"app","userName":"undefined"})"},
        Mistake{"name-needs-link /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"svc","exePath":"/opt/app","processName":"waagent"})"},
        Mistake{"forgeable-identity /rules/identities/0", &Parts::identities, R"({"name":"app","exePath":"/opt/app"})"},
        Mistake{"forgeable-identity /rules/identities/0", &Parts::identities, R"({"name":"app","processName":"app"})"},
        Mistake{"forgeable-identity /rules/identities/0", &Parts::identities, R"({"name":"app","processName":""})"},
        Mistake{"forgeable-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"svc","processName":""})"},
        Mistake{"forgeable-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","exePath":"/opt/app","processName":""})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/usr/bin/python3.11"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","processName":"busybox"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/usr/bin/python3.11-dbg"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/lib64/ld-linux-x86-64.so.2"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/usr/bin/pwsh"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/usr/bin/qemu-x86_64-static"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/usr/libexec/platform-python3.6"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/usr/sbin/php-fpm8.2"})"},
        Mistake{"interpreter-identity /rules/identities/0", &Parts::identities,
                R"({"name":"app","userName":"root","exePath":"/usr/bin/perl5.36-x86_64-linux-gnu"})"},
        Mistake{"empty-section /rules/roles", &Parts::roles, ""}));

TEST(Lint, AMissingSectionIsAnError) {
  const std::string text =
      R"({"defaultAccess":"allow","mode":"enforce","id":"r","rules":{"privileges":[],"roles":[],"identities":[]}})";
  EXPECT_THAT(told(text), Contains("missing-section /rules"));
  EXPECT_THAT(told(text), Contains("world-open /defaultAccess"));
  Parts parts;
  parts.privileges = parts.roles = parts.identities = parts.assignments = "";
  EXPECT_THAT(told(parts.text()), Not(Contains("missing-section /rules")));
}

TEST(Lint, ServicesWithoutRulesAreOpenOrClosed) {
  EXPECT_THAT(told(R"({"imds":{"defaultAccess":"allow","mode":"enforce","id":"r"}})"),
              testing::ElementsAre("world-open /imds/defaultAccess"));
  EXPECT_THAT(told(R"({"imds":{"defaultAccess":"deny","mode":"enforce","id":"r"}})"),
              testing::ElementsAre("world-closed /imds/defaultAccess"));
}

TEST(Lint, OnlyABroaderPrivilegeWithAtLeastTheSameIdentitiesShadows) {
  Parts parts;
  parts.privileges = R"({"name":"token","path":"/m"},{"name":"deep","path":"/m/x","queryParameters":{"a":"b"}})";
  parts.roles = R"({"name":"reader","privileges":["token","deep"]})";
  EXPECT_THAT(told(parts.text()), Contains("shadowed-privilege /rules/privileges/1"));

  parts.roles = R"({"name":"reader","privileges":["token"]},{"name":"other","privileges":["deep"]})";
  parts.identities = R"({"name":"app","userName":"svc"},{"name":"b","userName":"b"})";
  parts.assignments = R"({"role":"reader","identities":["app"]},{"role":"other","identities":["b"]})";
  EXPECT_THAT(told(parts.text()), IsEmpty());

  parts.identities = R"({"name":"app","userName":"svc"},{"name":"b","userName":"svc","groupName":"g"})";
  EXPECT_THAT(told(parts.text()), Contains("shadowed-privilege /rules/privileges/1"));
}

TEST(Lint, WhatLegacyMatchingWidensIsSaidWhereItDecides) {
  const LintReport strict = report_of(Parts().text());
  EXPECT_THAT(told(strict), IsEmpty());
  EXPECT_THAT(told(strict, Severity::kNote), Contains("legacy-prefix /rules/privileges/0/path"));
  for (const auto matching : {policy::Matching::kOff, policy::Matching::kShadow}) {
    const LintReport loose = report_of(Parts().text(), {.matching = matching});
    ASSERT_THAT(told(loose), Contains("legacy-prefix /rules/privileges/0/path"));
    EXPECT_THAT(loose.findings.front().text, HasSubstr("GET /metadata/identity/oauth2/token-x by user svc"));
    EXPECT_THAT(loose.findings.front().text, HasSubstr("legacy matching allows it, canonical denies (no_rule)"));
  }
  Parts closed;
  closed.privileges = R"({"name":"token","path":"/metadata/identity/"})";
  EXPECT_THAT(told(closed.text(), kField), Not(Contains("legacy-prefix /rules/privileges/0/path")));
  EXPECT_THAT(told(closed.text(), kField), Contains("trailing-slash /rules/privileges/0/path"));
}

TEST(Lint, DifferencesThatAnyRuleHasAreToldOnce) {
  Parts parts;
  parts.privileges = R"({"name":"token","path":"/m/a","queryParameters":{"k":"v"}},{"name":"u","path":"/m/b"})";
  parts.roles = R"({"name":"reader","privileges":["token","u"]})";
  const LintReport report = report_of(parts.text());
  const auto count = [&](std::string_view code) { return std::ranges::count(report.findings, code, &Finding::code); };
  for (const char* code :
       {"dot-segment", "matrix-parameter", "hidden-query", "repeated-parameter", "malformed-escape", "non-ascii"}) {
    EXPECT_EQ(count(code), 1) << code;
  }
  EXPECT_EQ(report.count(Severity::kWarning) + report.count(Severity::kError), 0U);
}

TEST(Lint, WitnessesHaveAMethodThatTheRuleAllows) {
  Parts parts;
  parts.privileges = R"({"name":"token","path":"/m","openmsp":{"methods":["PUT","POST"]}})";
  const LintReport report = report_of(parts.text(), {.matching = policy::Matching::kShadow});
  ASSERT_THAT(told(report), Contains("legacy-prefix /rules/privileges/0/path"));
  EXPECT_THAT(report.findings.front().text, HasSubstr(": PUT /m-x by user svc"));
}

TEST(Lint, OurOwnMembersAreNothingForTheFieldsAgent) {
  Parts parts;
  parts.identities = R"({"name":"app","userName":"root","openmsp":{"unit":"a.service"}})";
  EXPECT_THAT(told(parts.text(), kField), Contains("openmsp-for-field /rules/identities/0/openmsp"));
  EXPECT_THAT(told(parts.text()), IsEmpty());
  parts.identities = R"({"name":"app","userName":"root"})";
  EXPECT_THAT(told(parts.text(), kField), Not(Contains("openmsp-for-field /rules/identities/0/openmsp")));
  parts.roles = R"({"name":"reader","privileges":["token"],"openmsp":{}})";
  EXPECT_THAT(told(parts.text()), Contains("misplaced-openmsp /rules/roles/0/openmsp"));
}

TEST(Lint, OurOwnMembersAreReadStrictly) {
  Parts parts;
  parts.identities = R"({"name":"app","openmsp":{"unti":"a.service"}})";
  EXPECT_THAT(told(parts.text()), Contains("openmsp-refused /rules/identities/0/openmsp/unti"));
  EXPECT_THAT(told("{\"imds\":" + parts.text() + "}"),
              Contains("openmsp-refused /imds/rules/identities/0/openmsp/unti"));
  // A unit is what anybody cannot give themselves, and says which script it is.
  parts.identities = R"({"name":"app","exePath":"/usr/bin/python3","openmsp":{"unit":"a.service"}})";
  EXPECT_THAT(told(parts.text()), IsEmpty());
  EXPECT_THAT(told(parts.text(), kField), Contains("forgeable-identity /rules/identities/0"));
}

TEST(Lint, DeniesAreNoDuplicates) {
  Parts parts;
  parts.identities = R"({"name":"app","userName":"svc"},{"name":"bad","userName":"svc","groupName":"g"})";
  const std::string allow = R"({"role":"reader","identities":["app"]},{"role":"reader","identities":["bad"])";
  parts.assignments = allow + "}";
  EXPECT_THAT(told(parts.text()), IsEmpty());
  parts.assignments = allow + R"(,"openmsp":{"effect":"deny"}},{"role":"reader","identities":["bad"]})";
  EXPECT_THAT(told(parts.text()), testing::ElementsAre("denied-anyway /rules/roleAssignments/2/identities/0"));
  parts.assignments = allow + R"(},{"role":"reader","identities":["bad"]})";
  EXPECT_THAT(told(parts.text()), Contains("redundant-assignment /rules/roleAssignments/2"));
}

TEST(Lint, WireServerAnswersRootAlone) {
  EXPECT_THAT(told("{\"imds\":" + Parts().text() + ",\"wireserver\":" + Parts().text() + "}"),
              testing::ElementsAre("never-elevated /wireserver/rules/identities/0/userName"));
  EXPECT_THAT(told("{\"imds\":" + Parts().text() + "}"), IsEmpty());
}

class FakeMachine : public Machine {
 public:
  bool has_user(const std::string& name) override { return name == "svc"; }
  bool has_group(const std::string& name) override { return name == "grp"; }
  Program program(const std::string& path) override {
    if (path == "/opt/app/app") {
      return Program::kFound;
    }
    if (path == "/opt/script") {
      return Program::kScript;
    }
    return path == "/opt/link" ? Program::kLink : path == "/etc/passwd" ? Program::kNotRunnable : Program::kMissing;
  }
  Unit unit(const std::string& name) override {
    return {.found = name != "none.service", .name = name == "alias.service" ? "app.service" : name};
  }
};

TEST(Lint, IdentitiesAreComparedWithTheMachineOnDemand) {
  FakeMachine machine;
  const LintOptions look{.machine = &machine};
  EXPECT_THAT(told(Parts().text(), look), IsEmpty());
  Parts parts;
  parts.identities = R"({"name":"app","userName":"sv","groupName":"x","exePath":"/opt/none"})";
  EXPECT_THAT(told(parts.text()), IsEmpty());
  const auto found = told(parts.text(), look);
  EXPECT_THAT(found, Contains("no-such-user /rules/identities/0/userName"));
  EXPECT_THAT(found, Contains("no-such-group /rules/identities/0/groupName"));
  EXPECT_THAT(found, Contains("no-such-executable /rules/identities/0/exePath"));
  parts.identities = R"({"name":"app","userName":"svc","groupName":"grp","exePath":"/opt/link"})";
  EXPECT_THAT(told(parts.text(), look), testing::ElementsAre("executable-is-link /rules/identities/0/exePath"));
}

TEST(Lint, ScriptsAndUnitsAreComparedWithTheMachine) {
  FakeMachine machine;
  const LintOptions look{.machine = &machine};
  const auto found = [&](const std::string& field) {
    Parts parts;
    parts.identities = R"({"name":"app","userName":"svc",)" + field + "}";
    EXPECT_THAT(told(parts.text()), IsEmpty());
    return told(parts.text(), look);
  };
  EXPECT_THAT(found(R"("exePath":"/opt/script")"),
              testing::ElementsAre("executable-is-script /rules/identities/0/exePath"));
  EXPECT_THAT(found(R"("openmsp":{"unit":"app.service"})"), IsEmpty());
  EXPECT_THAT(found(R"("openmsp":{"unit":"none.service"})"),
              testing::ElementsAre("no-such-unit /rules/identities/0/openmsp/unit"));
  EXPECT_THAT(found(R"("openmsp":{"unit":"alias.service"})"),
              testing::ElementsAre("unit-is-alias /rules/identities/0/openmsp/unit"));
  EXPECT_THAT(found(R"("openmsp":{"unit":"session-3.scope"})"), IsEmpty());
}

TEST(Lint, EveryFormIsLinted) {
  const std::string item = Parts().text();
  const std::string rules = item.substr(item.find("\"rules\""));  // with the object's own last brace
  EXPECT_THAT(told(R"({"imds":)" + item + "}"), IsEmpty());
  EXPECT_THAT(told("{\"id\":\"x\",\"defaultAccess\":\"deny\"," + rules), IsEmpty());
  EXPECT_THAT(told(R"({"properties":{"mode":"Enforce","defaultAccess":"Deny","targetLocations":[],)" + rules + "}"),
              IsEmpty());
  Parts parts;
  parts.identities = R"({"name":"app","userName":"svc","username":"x"})";
  const std::string wrong = parts.text();
  const std::string wrong_rules = wrong.substr(wrong.find("\"rules\""));
  EXPECT_THAT(told(R"({"imds":)" + wrong + "}"),
              testing::ElementsAre("unknown-member /imds/rules/identities/0/username"));
  EXPECT_THAT(told("{" + wrong_rules), Contains("unknown-member /rules/identities/0/username"));
  EXPECT_THAT(told(R"([{"properties":{"mode":"Enforce","defaultAccess":"Deny",)" + wrong_rules + "}]"),
              testing::ElementsAre("unknown-member /0/properties/rules/identities/0/username"));
}

TEST(Lint, RulesThatTheAgentWouldNotReadAreFindingsToo) {
  const LintReport report = report_of(R"({"defaultAccess":true,"mode":"audit","id":1,"rules":[]})");
  EXPECT_TRUE(report.unreadable);
  EXPECT_EQ(report.count(Severity::kError), 3U);
  EXPECT_FALSE(report_of(Parts().text()).unreadable);
  // A local file is refused for what an item of the host is forgiven (I.4).
  EXPECT_TRUE(report_of(R"({"defaultAccess":"perhaps"})").unreadable);
  EXPECT_FALSE(report_of(R"({"defaultAccess":"perhaps","mode":"enforce","id":"r"})").unreadable);
}

TEST(Lint, ManyFindingsAreCountedAndNotAllKept) {
  Parts parts;
  std::string names = "\"token\"";
  for (int i = 0; i < 2000; ++i) {
    names += ",\"gone" + std::to_string(i) + "\"";
  }
  parts.roles = R"({"name":"reader","privileges":[)" + names + "]}";
  const LintReport report = report_of(parts.text());
  EXPECT_EQ(report.count(Severity::kError), 2000U);
  EXPECT_LT(report.findings.size(), 2000U);
}

TEST(Lint, ALocalFileIsToldAllThatClosesItsServiceAndNothingTwice) {
  EXPECT_THAT(told(R"({"id":" ","defaultAccess":"deny","rules":{
      "privileges":[{"name":"p","path":"/a","queryParameters":{"k":" "}},{"name":"q","path":" "}],
      "roles":[{"name":"r","privileges":["p","q","zz"]}],
      "identities":[{"name":"i","userName":" "}],
      "roleAssignments":[{"role":"r","identities":["i"]}]}})"),
              testing::IsSupersetOf(
                  {"local-file-refused /id", "local-file-refused /rules/privileges/0/queryParameters/k",
                   "local-file-refused /rules/privileges/1/path", "local-file-refused /rules/roles/0/privileges/2",
                   "local-file-refused /rules/identities/0"}));
  EXPECT_THAT(told(R"({"rules":{"privileges":[],"roles":[{"name":"r","privileges":["zz"]}],"identities":[],
      "roleAssignments":[]}})"),
              Not(Contains(HasSubstr("dangling"))));
}

TEST(Lint, PastWhatCannotBeReadTheRestIsToldToo) {
  const LintReport report = report_of(R"({"defaultAccess":"deny","mode":"enforce","id":"x","rules":{
      "privileges":[{"name":"p","path":5}],
      "roles":[{"name":"r","privileges":["p","nope"]},{"name":"r","privileges":[]}],
      "identities":[{"name":"i","userNam":"bob","openmsp":{"unit":"x","foo":1}}],
      "roleAssignments":[{"role":"zz","identities":["nobodyhere"],"openmsp":{"effect":"Deny"}}]}})");
  EXPECT_TRUE(report.unreadable);
  EXPECT_THAT(told(report, Severity::kError),
              testing::UnorderedElementsAre(
                  "wrong-type /rules/privileges/0/path", "dangling-privilege /rules/roles/0/privileges/1",
                  "duplicate-name /rules/roles/1/name", "empty-role /rules/roles/1/privileges",
                  "unknown-member /rules/identities/0/userNam", "openmsp-refused /rules/identities/0/openmsp/unit",
                  "openmsp-refused /rules/identities/0/openmsp/foo", "dangling-role /rules/roleAssignments/0/role",
                  "dangling-identity /rules/roleAssignments/0/identities/0",
                  "openmsp-refused /rules/roleAssignments/0/openmsp/effect"));
  EXPECT_THAT(report.remarks, Contains(HasSubstr("told once all of them can be read")));
}

/// Each of these has one fault of form, and nothing else is wrong.
TEST(Lint, NothingIsToldThatOnlyFollowsFromWhatCannotBeRead) {
  const std::string roles = R"({"name":"reader","privileges":["token"]})";
  const std::string denies = R"({"role":"reader","identities":["app"],"openmsp":{"effect":"deny"}})";
  const auto one = [](void (*breaks)(Parts&)) {
    Parts parts;
    breaks(parts);
    return parts.text();
  };
  for (const std::string& text :
       {one([](Parts& p) { p.head = R"("defaultAccess":"deny","mode":5,"id":"r")"; }),
        one([](Parts& p) { p.head = R"("mode":"audit","id":"r")"; }),
        one([](Parts& p) { p.head = R"("mode":"audit","id":null,"defaultAccess":"deny")"; }),
        one([](Parts& p) { p.privileges = "7"; }),
        one([](Parts& p) { p.privileges = R"({"path":"/a"})"; }),
        one([](Parts& p) { p.privileges = R"({"name":"token"})"; }),
        one([](Parts& p) { p.privileges = R"({"name":"token","path":"/a","queryParameters":[]})"; }),
        one([](Parts& p) { p.roles = R"({"name":["reader"],"privileges":["token"]})"; }),
        one([](Parts& p) { p.roles = R"({"name":"reader","privileges":"token"})"; }),
        one([](Parts& p) { p.roles = R"({"name":"reader"})"; }),
        one([](Parts& p) { p.roles = R"({"name":"reader","privileges":["token",{}]})"; }),
        one([](Parts& p) { p.roles = R"({"name":"a","name":"reader","privileges":["token"]})"; }),
        one([](Parts& p) { p.identities = "null"; }),
        one([](Parts& p) { p.identities = R"({"name":"app","userName":7,"exePath":"/usr/bin/python3"})"; }),
        one([](Parts& p) { p.identities = R"({"userName":"svc"})"; }),
        one([](Parts& p) { p.assignments = R"({"role":"reader","identities":{}})"; }),
        one([](Parts& p) { p.assignments = R"({"role":5,"identities":["app"]})"; }),
        one([](Parts& p) {
          p.roles = "[]";
          p.assignments = R"({"role":"reader","identities":["app"],"openmsp":{"effect":"deny"}})";
        }),
        std::string(R"({"defaultAccess":"deny","mode":"enforce","id":"r","rules":[]})"),
        std::string(R"({"defaultAccess":"deny","mode":"enforce","id":"r","rules":{"privileges":{},"roles":[)" + roles +
                    R"(],"identities":[{"name":"app","userName":"svc"}],"roleAssignments":[)" + denies + "]}}"),
        std::string(R"({"defaultAccess":"deny","rules":{"privileges":[{"name":7,"path":"/a"}],"roles":[)" + roles +
                    R"(],"identities":[{"name":"app","userName":"svc"}],"roleAssignments":[)" + denies + "]}}"),
        std::string(R"({"imds":5})")}) {
    EXPECT_EQ(told(text).size(), 1U) << text << testing::PrintToString(told(text));
  }
}

TEST(Lint, OfAStatusDocumentAllIsTold) {
  EXPECT_THAT(told(R"({"authorizationScheme":"a","keyDeliveryMethod":"http","version":2,"secureChannelState":"audit",
      "authorizationRules":{"imds":{"defaultAccess":"allowed","mode":5,"id":"x"}}})"),
              testing::UnorderedElementsAre("status-refused /version", "status-refused /secureChannelState",
                                            "wrong-type /authorizationRules/imds/mode",
                                            "unknown-default-access /authorizationRules/imds/defaultAccess",
                                            "world-closed /authorizationRules/imds/defaultAccess"));
  EXPECT_THAT(told(R"({"keyDeliveryMethod":"http","version":"2.0","authorizationRules":5})"),
              testing::UnorderedElementsAre("status-refused /authorizationScheme", "status-refused ", "status-refused ",
                                            "status-refused /authorizationRules"));
}

TEST(Lint, WhatIsNoUtf8IsAWarningWhereTheAgentForgivesIt) {
  Parts parts;
  parts.head = "\"defaultAccess\":\"deny\",\"mode\":\"enforce\",\"id\":\"r\xff\"";
  const LintReport report = report_of(parts.text());
  EXPECT_THAT(told(report), testing::ElementsAre("not-utf8 /id"));
  EXPECT_EQ(report.findings.front().place.column, 47U);
  EXPECT_THAT(report.remarks, IsEmpty());
  const auto local = RuleText::parse("{\"defaultAccess\":\"deny\",\"id\":\"r\xff\"}", "r.json");
  ASSERT_TRUE(local);
  EXPECT_FALSE(lint(*local, {})) << "the agent refuses such a local file";
}

TEST(Lint, AnEmptyLocalFileIsSaidToBeOne) {
  EXPECT_THAT(report_of("{}").remarks, testing::ElementsAre(HasSubstr("read as a local rule file")));
  EXPECT_FALSE(report_of("{}").unreadable);
}

}  // namespace
}  // namespace msp::authoring
