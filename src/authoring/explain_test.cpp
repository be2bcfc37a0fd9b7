// SPDX-License-Identifier: Apache-2.0
#include "authoring/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "authoring/caller.h"
#include "authoring/identity_checks.h"
#include "authoring/rule_source.h"

namespace msp::authoring {
namespace {

using testing::HasSubstr;

constexpr std::string_view kText = R"({"defaultAccess":"deny","mode":"enforce","id":"v1","rules":{
  "privileges":[{"name":"token","path":"/metadata/identity/oauth2/token","queryParameters":{"resource":"https://vault"}},
                {"name":"instance","path":"/metadata/instance"},
                {"name":"nobody","path":"/metadata/loadbalancer"}],
  "roles":[{"name":"reader","privileges":["token"]},{"name":"all","privileges":["instance"]}],
  "identities":[{"name":"app","userName":"svc","exePath":"/opt/app/bin/app"},{"name":"ops","groupName":"wheel"}],
  "roleAssignments":[{"role":"reader","identities":["app","ops"]},{"role":"all","identities":["ops"]}]}})";

struct Case {
  RuleSource source = *read_rules(std::string(kText), "f");
  Caller caller{.user = "svc",
                .uid = 1000,
                .groups = {"svc"},
                .exe = "/opt/app/bin/app",
                .process = "",
                .cgroup = "",
                .unit = "",
                .container = ""};
  std::string method = "GET";
  std::string url = "http://169.254.169.254/metadata/identity/oauth2/token?resource=https://vault";
  policy::Matching matching = policy::Matching::kEnforce;
  std::optional<Service> service;
  bool with_rules = true;

  Explanation run() {
    snapshot = with_rules ? source.compile(matching) : policy::Snapshot{.matching = matching, .rules = {}};
    const auto read = read_url(url, service);
    EXPECT_TRUE(read) << (read ? "" : read.error().text());
    asked.ask(method, *read);
    Explanation out = explain(make_caller(caller), asked, with_rules ? source.item(read->service) : nullptr, snapshot);
    EXPECT_TRUE(out.agrees()) << out.code << " against " << out.judgement.code;
    return out;
  }
  policy::Snapshot snapshot;
  Asked asked;
};

const Check* unmet(const RuleTrace& rule) {
  const auto found = std::ranges::find(rule.checks, false, &Check::met);
  return found == rule.checks.end() ? nullptr : &*found;
}

TEST(Explain, ARuleThatLetsPassComesFirst) {
  Case one;
  const Explanation found = one.run();
  EXPECT_EQ(found.judgement.outcome, Outcome::kPermit);
  EXPECT_EQ(found.judgement.names.identity, "app");
  ASSERT_EQ(found.deciding->rules.size(), 4U) << "each privilege with each holder, and one that nobody holds";
  EXPECT_EQ(found.deciding->rules[0].identity, "app");
  EXPECT_EQ(found.deciding->rules[0].distance, 0U);
}

TEST(Explain, TheNearestMissSaysWhatWasWantedAndFound) {
  Case one;
  one.caller.exe = "/usr/bin/curl";
  Explanation found = one.run();
  EXPECT_EQ(found.judgement.code, "identity_mismatch");
  EXPECT_EQ(found.judgement.status, 403);
  const RuleTrace& nearest = found.deciding->rules[0];
  EXPECT_EQ(nearest.identity, "app");
  ASSERT_NE(unmet(nearest), nullptr);
  EXPECT_EQ(unmet(nearest)->what, "exePath");
  EXPECT_EQ(unmet(nearest)->wanted, "/opt/app/bin/app");
  EXPECT_EQ(unmet(nearest)->found, "/usr/bin/curl");
  one.caller.exe = "/opt/app//bin/./app";
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kPermit);
}

TEST(Explain, AQueryParameterIsNamedWithItsValues) {
  Case one;
  one.url = "http://169.254.169.254/metadata/identity/oauth2/token?resource=https://other&resource=x";
  Explanation found = one.run();
  EXPECT_EQ(found.judgement.code, "no_rule");
  const Check* check = unmet(found.deciding->rules[0]);
  ASSERT_NE(check, nullptr);
  EXPECT_EQ(check->what, "query resource");
  EXPECT_EQ(check->wanted, "https://vault");
  EXPECT_EQ(check->found, "https://other, x");
  one.url = "http://169.254.169.254/metadata/identity/oauth2/token";
  found = one.run();
  EXPECT_EQ(unmet(found.deciding->rules[0])->found, "no such parameter");
}

TEST(Explain, ThePathThatGoesFurthestWithTheRequestComesFirst) {
  Case one;
  one.caller.groups = {"wheel"};
  one.url = "http://169.254.169.254/metadata/instances";
  const Explanation found = one.run();
  EXPECT_EQ(found.judgement.code, "no_rule");
  EXPECT_EQ(found.deciding->rules[0].privilege, "instance");
  EXPECT_TRUE(found.readings_differ()) << "legacy matching compares characters";
  EXPECT_EQ(found.other->rules[0].privilege, "instance");
  EXPECT_TRUE(found.other->rules[0].privilege_met);
}

TEST(Explain, AnotherFileAtThePathOfTheRuleIsCalledThat) {
  RuleIdentity wanted;
  wanted.name = "app";
  wanted.exe_path = "/usr/bin/sleep";
  identity::ConnectionIdentity who;
  who.exe_path = "/usr/bin/sleep";  // and none of the rules' files, by which it is decided
  const std::vector<Check> checks = compare_identity(wanted, who, false);
  ASSERT_EQ(checks.size(), 1U);
  EXPECT_FALSE(checks[0].met);
  EXPECT_EQ(checks[0].found, "/usr/bin/sleep, which is another file than the one that the rule names");
}

TEST(Explain, GatesBeforeTheRulesAreSteps) {
  Case one;
  one.url = "http://168.63.129.16/machine?comp=goalstate";
  EXPECT_EQ(one.run().judgement.code, "not_elevated");
  EXPECT_FALSE(one.run().deciding) << "rules were not looked at";
  one.caller.uid = 0;
  EXPECT_EQ(one.run().judgement.code, "no_rule");
  one.with_rules = false;
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kPermit);
  one.method = "BREW";
  EXPECT_EQ(one.run().judgement.status, 405);
  one.method = "GET";
  one.url = "http://168.63.129.16/secure-channel/status";
  EXPECT_EQ(one.run().judgement.code, "secure_channel");
  one.url = "http://168.63.129.16/a/../b";
  EXPECT_EQ(one.run().judgement.code, "path_traversal");
  one.url = "http://169.254.169.254/%zz";
  EXPECT_EQ(one.run().judgement.code, "canon_pct");
  EXPECT_EQ(one.run().judgement.status, 400);
  one.matching = policy::Matching::kShadow;
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kPermit);
}

TEST(Explain, ModesAndTheDefaultAreSteps) {
  Case one;
  one.caller.user = "mallory";
  one.source.single->item.mode = "audit";
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kAudit);
  one.source.single->item.mode = "disabled";
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kPermit);
  one.source.single->item.mode = "odd";
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kDeny);
  one.matching = policy::Matching::kOff;
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kPermit) << "as the field reads it";
  one.matching = policy::Matching::kEnforce;
  one.url = "http://169.254.169.254/else";
  one.source.single->item.default_access = "Allow";
  EXPECT_EQ(one.run().judgement.ground, policy::Ground::kDefaultAccess);
}

/// The first identity is bound to a unit, the first privilege to a method; `effect`: of the first assignment.
void extend(Case& one, AssignmentExtension effect) {
  RuleSections& rules = *one.source.single->item.rules;
  rules.privileges->front().openmsp.methods = {"GET", "HEAD"};
  rules.identities->front().openmsp.unit = "app.service";
  rules.role_assignments->front().openmsp = effect;
}

TEST(Explain, UnitsAndMethodsAreChecksLikeTheOthers) {
  Case one;
  extend(one, {});
  EXPECT_EQ(unmet(one.run().deciding->rules[0])->what, "unit");
  one.caller.unit = "app.service";
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kPermit);
  one.caller = {.user = "svc",
                .uid = {},
                .groups = {},
                .exe = "/opt/app/bin/app",
                .process = "",
                .cgroup = "/system.slice/app.service/worker",
                .unit = "",
                .container = ""};
  EXPECT_EQ(one.run().judgement.outcome, Outcome::kPermit) << "the cgroup says the unit";
  one.method = "POST";
  EXPECT_EQ(one.run().judgement.code, "no_rule");
  EXPECT_EQ(unmet(one.run().deciding->rules[0])->what, "method");
}

TEST(Explain, ADenyGoesFirstAndADryRunHasNoEffect) {
  Case one;
  one.caller.unit = "app.service";
  extend(one, {.deny = true, .dry_run = false});
  Explanation found = one.run();
  EXPECT_EQ(found.judgement.code, "explicit_deny");
  EXPECT_TRUE(found.deciding->rules[0].deny);
  EXPECT_TRUE(found.deciding->rules[0].matches());
  extend(one, {.deny = false, .dry_run = true});
  found = one.run();
  EXPECT_EQ(found.judgement.code, "identity_mismatch");
  EXPECT_EQ(found.judgement.dry_run, policy::Verdict::kAllow);
  one.source.single->item.rules->identities->front().openmsp.exe_sha256 = "00";
  found = one.run();
  EXPECT_EQ(found.judgement.code, "rules_unusable");
  EXPECT_THAT(found.steps[found.steps.size() - 2].what, HasSubstr("exeSha256"));
}

TEST(ReadUrl, TheServiceComesFromTheAddress) {
  EXPECT_EQ(read_url("http://168.63.129.16:32526/vmAgentLog", std::nullopt)->service, Service::kHostGaPlugin);
  EXPECT_EQ(read_url("http://168.63.129.16:80?comp=x", std::nullopt)->target, "/?comp=x");
  EXPECT_EQ(read_url("/metadata", Service::kImds)->host, "169.254.169.254");
  for (const char* bad : {"/metadata", "http://example.com/x", "https://169.254.169.254/x", "metadata"}) {
    const auto read = read_url(bad, std::nullopt);
    ASSERT_FALSE(read) << bad;
    EXPECT_FALSE(read.error().hint.empty());
  }
  Case one;
  one.service = Service::kImds;
  one.url = "http://example.com/metadata/instance";
  EXPECT_EQ(one.run().judgement.code, "host_foreign");
}

}  // namespace
}  // namespace msp::authoring
