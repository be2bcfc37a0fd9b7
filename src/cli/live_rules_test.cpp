// SPDX-License-Identifier: Apache-2.0
#include "cli/live_rules.h"

#include <gmock/gmock.h>

#include "base/json.h"
#include "base/rules_document.h"
#include "cli/policy_common.h"
#include "cli/test_agent.h"
#include "status/example_snapshot.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;

constexpr std::string_view kItem = R"({"defaultAccess":"deny","mode":"enforce","id":"v3_local","rules":{
  "privileges":[{"name":"token","path":"/metadata/identity"}],"roles":[{"name":"reader","privileges":["token"]}],
  "identities":[{"name":"app","userName":"svc"}],"roleAssignments":[{"role":"reader","identities":["app"]}]}})";

class LiveRulesTest : public TestAgent {
 protected:
  static status::RulesInForce rules() {
    status::RulesInForce out;
    out.in_force = true;
    out.generation = 7;
    out.matching = "enforce";
    out.requests = "signed";
    out.items[0] = *parse_rule_item(kItem, Source::kConfig);
    out.services[0] = {.origin = rules::Origin::kHostAndFile, .has_rules = true, .id = "v3_local"};
    return out;
  }
  void serve(const status::RulesInForce& what) { TestAgent::serve(status::example_snapshot(), what); }
  Outcome policy(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--socket", socket, "policy"});
    return call(arguments);
  }
  Outcome explain(const std::string& user, const std::string& path = "/metadata/identity") const {
    return policy({"explain", "--as", user, "GET", "http://169.254.169.254" + path});
  }
};

TEST_F(LiveRulesTest, ExplainsByTheRulesInForce) {
  serve(rules());
  const Outcome permitted = explain("svc");
  EXPECT_EQ(permitted.code, kExitOk) << permitted.err;
  EXPECT_THAT(permitted.out, HasSubstr(R"(PERMIT by privilege "token", role "reader", identity "app")"));
  EXPECT_THAT(permitted.out,
              HasSubstr("the agent that runs (generation 7, from the host and a local rule file), id \"v3_local\""));
  EXPECT_EQ(explain("bob").code, kExitFindings);
  EXPECT_THAT(explain("bob").out, HasSubstr("DENY 403 identity_mismatch"));
}

TEST_F(LiveRulesTest, TheAgentsMatchingDecidesUnlessAnotherIsSaid) {
  status::RulesInForce legacy = rules();
  legacy.matching = "shadow";
  serve(legacy);
  EXPECT_EQ(explain("svc", "/metadata/identityx").code, kExitOk) << "a prefix of characters";
  const Outcome strict =
      policy({"explain", "--matching", "enforce", "--as", "svc", "GET", "http://169.254.169.254/metadata/identityx"});
  EXPECT_EQ(strict.code, kExitFindings) << strict.err;
}

TEST_F(LiveRulesTest, WithoutAnAgentNothingIsPermitted) {
  const Outcome outcome = explain("svc");
  EXPECT_EQ(outcome.code, kExitUnusable);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("the agent is not running"));
  EXPECT_THAT(outcome.err, HasSubstr("--rules FILE"));
  EXPECT_EQ(policy({"show"}).code, kExitUnusable);
}

TEST_F(LiveRulesTest, RulesThatTheHostHasNotSaidYetPermitNothing) {
  serve(status::RulesInForce{.in_force = false, .matching = "enforce", .requests = "not_ready"});
  const Outcome outcome = explain("svc");
  EXPECT_EQ(outcome.code, kExitUnusable);
  EXPECT_THAT(outcome.err, HasSubstr("there are no rules in force yet"));
  EXPECT_EQ(policy({"show"}).code, kExitUnusable);
}

TEST_F(LiveRulesTest, WhatIsDeniedAltogetherIsNotTakenForNoRules) {
  status::RulesInForce denied = rules();
  denied.items[0].reset();
  denied.services[0] = {.origin = rules::Origin::kDenied, .unusable = "the reason"};
  serve(denied);
  EXPECT_EQ(explain("svc").code, kExitUnusable);
  EXPECT_THAT(explain("svc").err, HasSubstr("denies everything of imds: the reason"));
}

TEST_F(LiveRulesTest, WhatKeepsRequestsFromTheRulesIsSaid) {
  status::RulesInForce closed = rules();
  closed.requests = "not_ready";
  serve(closed);
  EXPECT_THAT(explain("svc").err, HasSubstr("no key is in use"));
}

TEST_F(LiveRulesTest, WhatIsShownIsReadByTheOtherVerbs) {
  serve(rules());
  const Outcome shown = policy({"show"});
  EXPECT_EQ(shown.code, kExitOk) << shown.err;
  const auto tree = json::parse(shown.out);
  ASSERT_TRUE(tree.ok());
  EXPECT_EQ(tree->at("/generation")->int64(), 7);
  const std::string file = directory + "/shown.json";
  std::ofstream(file) << shown.out;
  EXPECT_EQ(policy({"lint", "--json", file}).code, kExitUnusable) << "--socket is none of its options";
  EXPECT_EQ(call({"policy", "lint", file}).code, kExitOk);
  const std::string item = directory + "/item.json";
  std::ofstream(item) << R"({"imds":)" << kItem << "}";
  const Outcome same = call({"policy", "diff", file, item});
  EXPECT_EQ(same.code, kExitOk) << same.out << same.err;
}

}  // namespace
}  // namespace msp::cli
