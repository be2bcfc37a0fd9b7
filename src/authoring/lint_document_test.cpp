// SPDX-License-Identifier: Apache-2.0
// What lint says of the text around the items: a misspelt service there opens it without a word.
#include <gmock/gmock.h>

#include "authoring/lint.h"

namespace msp::authoring {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr const char* kItem = R"({"defaultAccess":"deny","mode":"enforce","id":"r","rules":{
  "privileges":[{"name":"p","path":"/metadata/instance"}],"roles":[{"name":"r","privileges":["p"]}],
  "identities":[{"name":"i","userName":"root"}],"roleAssignments":[{"role":"r","identities":["i"]}]}})";
constexpr const char* kRules = R"("rules":{"privileges":[{"name":"p","path":"/metadata/instance"}],
  "roles":[{"name":"r","privileges":["p"]}],"identities":[{"name":"i","userName":"root"}],
  "roleAssignments":[{"role":"r","identities":["i"]}]})";
constexpr const char* kStatus = R"("authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","version":"1.0",
  "secureChannelState":"wireserverandimds","keyGuid":null,"keyIncarnationId":1,"requiredClaimsHeaderPairs":null)";

std::vector<Finding> findings(const std::string& text) {
  auto parsed = RuleText::parse(text, "r.json");
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().text());
  auto report = lint(*parsed, {});
  EXPECT_TRUE(report) << (report ? "" : report.error().text());
  std::vector<Finding> out = report ? report->findings : std::vector<Finding>();
  std::erase_if(out, [](const Finding& finding) { return finding.severity == Severity::kNote; });
  return out;
}

/// `$`: an item, `%`: the rules of one, `&`: the members of a status document.
std::string filled(std::string_view pattern) {
  std::string out;
  for (const char c : pattern) {
    out += c == '$' ? std::string(kItem) : c == '%' ? kRules : c == '&' ? kStatus : std::string(1, c);
  }
  return out;
}

/// "unknown-member /wireServer: did you mean …".
std::vector<std::string> told(std::string_view pattern) {
  std::vector<std::string> out;
  for (const Finding& finding : findings(filled(pattern))) {
    const bool guess = finding.remedy.starts_with("did you mean");
    out.push_back(std::string(finding.code) + " " + finding.pointer + (guess ? " " + finding.remedy.substr(13) : ""));
  }
  return out;
}

TEST(LintDocument, WhatIsRepeatedAroundTheRulesAndAByteOrderMarkAreErrors) {
  EXPECT_THAT(told(R"({"authorizationRules":{"imds":$},"authorizationRules":{"imds":$}})"),
              ElementsAre("repeated-member /authorizationRules"));
  EXPECT_THAT(told(R"({"id":"x","properties":{"defaultAccess":"Deny",%},"properties":{"defaultAccess":"Deny",%}})"),
              Contains("repeated-member /properties"));
  EXPECT_THAT(told("\xEF\xBB\xBF{&,\"authorizationRules\":{\"imds\":$}}"), ElementsAre("byte-order-mark "));
  EXPECT_THAT(told("\xEF\xBB\xBF{\"id\":\"x\",\"defaultAccess\":\"deny\",%}"), IsEmpty());
}

TEST(LintDocument, WhatIsRightIsNotTold) {
  EXPECT_THAT(told(R"({"imds":$,"wireserver":$,"hostga":null})"), IsEmpty());
  EXPECT_THAT(told(R"({"authorizationRules":{"imds":$}})"), IsEmpty());
  EXPECT_THAT(told(R"({&,"secureChannelEnabled":null,"authorizationRules":{"imds":$,"wireserver":$}})"), IsEmpty());
}

TEST(LintDocument, AMisspeltServiceIsFound) {
  EXPECT_THAT(told(R"({"imds":$,"wireServer":$})"), ElementsAre("unknown-member /wireServer \"wireserver\"?"));
  for (const char* name : {"Imds", "imdss"}) {
    const std::string member = std::string("\"") + name + "\":$";
    const std::string at = std::string(name) + " \"imds\"?";
    EXPECT_THAT(told(R"({"wireserver":$,)" + member + "}"),
                UnorderedElementsAre("unknown-member /" + at, "world-open "));
    EXPECT_THAT(told(R"({"authorizationRules":{"wireserver":$,)" + member + "}}"),
                UnorderedElementsAre("unknown-member /authorizationRules/" + at, "world-open /authorizationRules"));
    EXPECT_THAT(told(R"({&,"authorizationRules":{)" + member + "}}"),
                UnorderedElementsAre("unknown-member /authorizationRules/" + at, "world-open /authorizationRules"));
    // Alone it makes the text look like a local rule file.
    EXPECT_THAT(told("{" + member + "}"), Contains("unknown-member /" + at));
  }
}

TEST(LintDocument, MembersBesideTheRulesAreFound) {
  EXPECT_THAT(told(R"({"imds":$,"authorisation":1})"), ElementsAre("unknown-member /authorisation"));
  EXPECT_THAT(told(R"({"authorizationRules":{"imds":$},"imds":$})"), ElementsAre("unknown-member /imds"));
  EXPECT_THAT(told(R"({&,"authorisationRules":{"imds":$}})"),
              UnorderedElementsAre("unknown-member /authorisationRules \"authorizationRules\"?", "world-open "));
  EXPECT_THAT(told(R"({&,"more":1,"authorizationRules":{"imds":$}})"), ElementsAre("unknown-member /more"));
}

TEST(LintDocument, OurOwnMembersAreNothingAroundAnItem) {
  EXPECT_THAT(told(R"({"imds":$,"openmsp":{}})"), ElementsAre("misplaced-openmsp /openmsp"));
  EXPECT_THAT(told(R"({&,"openmsp":{},"authorizationRules":{"imds":$,"openmsp":{}}})"),
              ElementsAre("misplaced-openmsp /openmsp", "misplaced-openmsp /authorizationRules/openmsp"));
  EXPECT_THAT(told(R"({"openmsp":1,"properties":{"defaultAccess":"Deny","openmsp":2,%}})"),
              ElementsAre("misplaced-openmsp /openmsp", "misplaced-openmsp /properties/openmsp"));
}

TEST(LintDocument, WithoutRulesImdsIsOpen) {
  EXPECT_THAT(told(R"({"wireserver":$})"), ElementsAre("world-open "));
  EXPECT_THAT(told(R"({"imds":null,"wireserver":$})"), ElementsAre("world-open /imds"));
  EXPECT_THAT(told(R"({"authorizationRules":null})"), ElementsAre("world-open /authorizationRules"));
  EXPECT_THAT(told("{&}"), ElementsAre("world-open "));
  const auto found = findings(filled(R"({"wireserver":$})"));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0].text, HasSubstr("no rules for IMDS"));
}

TEST(LintDocument, ResourcesMayHaveMembersOfTheirOwn) {
  EXPECT_THAT(
      told(R"([{"id":"/p","etag":"x","zones":[],"properties":{"applicableHostEndpoint":"IMDS","osType":"Linux"}},
      {"id":"/p/versions/1.0.0","name":"1.0.0","properties":{"mode":"Enforce","defaultAccess":"Deny","vendor":1,
       "targetLocations":[],"excludeFromLatest":false,"publishedDate":"","provisioningState":"Succeeded",%}}])"),
      IsEmpty());
  EXPECT_THAT(told(R"({"properties":{"mode":"Enforce","defaultAccess":"Deny","rulez":{},%}})"),
              ElementsAre("unknown-member /properties/rulez \"rules\"?"));
  EXPECT_THAT(told(R"({"value":[{"id":"/p","Properties":{},"properties":{"applicableHostEndpoint":"IMDS","ostype":""}},
      {"id":"/p/versions/1.0.0","properties":{"mode":"Enforce","defaultAccess":"Deny",%}}]})"),
              ElementsAre("unknown-member /value/0/Properties \"properties\"?",
                          "unknown-member /value/0/properties/ostype \"osType\"?"));
}

// The reader takes it as a version; lint passed it by.
TEST(LintDocument, AVersionThatNamesItsServiceIsLinted) {
  EXPECT_THAT(told(R"({"properties":{"applicableHostEndpoint":"IMDS","mode":"Enforce","defaultAccess":"Allow"}})"),
              ElementsAre("world-open /properties/defaultAccess"));
}

TEST(LintDocument, RulesInForceAreLookedAtAsTheyDecide) {
  EXPECT_THAT(told(R"({"inputRules":{"imds":$,"wireserver":$,"hostga":$},"computedRules":{},"generation":3})"),
              IsEmpty());
  EXPECT_THAT(told(R"({"inputRules":{"wireserver":$}})"), ElementsAre("world-open /inputRules"));
  const std::string open = R"({"defaultAccess":"deny","mode":"enforce","id":"r","rules":{
    "privileges":[],"roles":[],"identities":[{"name":"i"},{"name":"i"}],"roleAssignments":[]}})";
  const auto same = told(R"({"inputRules":{"imds":$,"wireserver":)" + open + R"(,"hostga":)" + open + "}}");
  EXPECT_THAT(same, Contains(HasSubstr("/inputRules/wireserver")));
  EXPECT_THAT(same, Not(Contains(HasSubstr("/inputRules/hostga")))) << "what is wireserver's is told once";
  EXPECT_THAT(told(R"({"inputRules":{"imds":$,"wireserver":$,"hostga":)" + open + "}}"),
              Contains(HasSubstr("/inputRules/hostga")));
}

}  // namespace
}  // namespace msp::authoring
