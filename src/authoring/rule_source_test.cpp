// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "authoring/case_file.h"

namespace msp::authoring {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kRules =
    R"({"privileges":[{"name":"p","path":"/metadata"}],"roles":[{"name":"r","privileges":["p"]}],
        "identities":[{"name":"i","userName":"alice"}],"roleAssignments":[{"role":"r","identities":["i"]}]})";

std::string item(std::string_view id, std::string_view access = "deny") {
  return R"({"defaultAccess":")" + std::string(access) + R"(","mode":"enforce","id":")" + std::string(id) +
         R"(","rules":)" + std::string(kRules) + "}";
}

RuleSource good(const std::string& text) {
  auto read = read_rules(text, "f.json");
  EXPECT_TRUE(read) << (read ? "" : read.error().text());
  return read ? *std::move(read) : RuleSource();
}

std::string bad(const std::string& text) {
  const auto read = read_rules(text, "f.json");
  EXPECT_FALSE(read);
  if (read) {
    return "";
  }
  EXPECT_THAT(read.error().hint, testing::Not(IsEmpty()));
  return read.error().message;
}

TEST(RuleSource, OneItemIsOfTheServiceThatIsAsked) {
  RuleSource source = good(item("v1"));
  EXPECT_EQ(source.form, RuleForm::kItem);
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    ASSERT_NE(source.item(service), nullptr);
    EXPECT_EQ(source.item(service)->id, "v1");
  }
  source.assign(Service::kHostGaPlugin);
  EXPECT_EQ(source.item(Service::kImds), nullptr);
  EXPECT_NE(source.item(Service::kWireServer), nullptr) << "hostga and wireserver have the same rules";
  EXPECT_EQ(source.compile(policy::Matching::kEnforce).of(Service::kImds), nullptr);
  EXPECT_NE(source.compile(policy::Matching::kEnforce).of(Service::kHostGaPlugin), nullptr);
}

TEST(RuleSource, ServicesBareOrUnderTheirMember) {
  const std::string bare = R"({"imds":)" + item("a") + R"(,"wireserver":)" + item("b") + R"(,"hostga":null})";
  for (const std::string& text : {bare, R"({"authorizationRules":)" + bare + "}"}) {
    const RuleSource source = good(text);
    EXPECT_EQ(source.form, RuleForm::kServices);
    EXPECT_EQ(source.item(Service::kImds)->id, "a");
    EXPECT_EQ(source.item(Service::kHostGaPlugin)->id, "b");
    EXPECT_THAT(source.remarks, IsEmpty());
  }
}

TEST(RuleSource, OwnRulesOfHostgaAreSaidToBeUnused) {
  const RuleSource source = good(R"({"wireserver":)" + item("b") + R"(,"hostga":)" + item("c") + "}");
  EXPECT_EQ(source.item(Service::kHostGaPlugin)->id, "b");
  EXPECT_THAT(source.remarks, ElementsAre(HasSubstr("/hostga")));
  EXPECT_EQ(good(R"({"hostga":)" + item("c") + "}").item(Service::kHostGaPlugin), nullptr);
}

TEST(RuleSource, StatusDocumentsAreJudgedAsTheAgentDoes) {
  const std::string head = R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","version":"2.0",)";
  const std::string rules = R"("authorizationRules":{"imds":)" + item("a") + "}}";
  const RuleSource source = good(head + R"("secureChannelEnabled":true,)" + rules);
  EXPECT_EQ(source.form, RuleForm::kStatus);
  EXPECT_EQ(source.item(Service::kImds)->id, "a");
  EXPECT_EQ(source.item(Service::kWireServer), nullptr);
  EXPECT_THAT(bad(head + rules), HasSubstr("secureChannelEnabled"));
}

TEST(RuleSource, ALocalFileStandsAloneOrIsMerged) {
  const std::string text = R"({"id":"mine","rules":)" + std::string(kRules) + "}";
  const RuleSource alone = good(text);
  EXPECT_EQ(alone.form, RuleForm::kLocalFile);
  EXPECT_EQ(alone.item(Service::kImds)->mode, "enforce");
  EXPECT_EQ(alone.item(Service::kImds)->default_access, "deny");
  ASSERT_TRUE(alone.local);
  EXPECT_FALSE(alone.local->default_access);

  const RuleItem host{.default_access = "allow",
                      .mode = "audit",
                      .id = "eyJpZCI6InNpZy03IiwidXNlTG9jYWxGaWxlUnVsZXMiOnRydWV9",
                      .rules = alone.item(Service::kImds)->rules};
  const auto parsed = RuleText::parse(text, "f.json");
  const auto merged = read_rules(*parsed, &host);
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->item(Service::kImds)->id, "sig-7-useLocalFileRules-true_mine");
  EXPECT_EQ(merged->item(Service::kImds)->mode, "audit");
  EXPECT_EQ(merged->item(Service::kImds)->rules->privileges->size(), 2U);
  EXPECT_THAT(merged->remarks, IsEmpty());

  RuleItem off = host;
  off.id = "plain";
  EXPECT_THAT(read_rules(*parsed, &off)->remarks, ElementsAre(HasSubstr("does not switch local rule files on")));
}

TEST(RuleSource, AnInvalidLocalFileIsRefused) {
  EXPECT_EQ(bad("{\"defaultAccess\":\"perhaps\",\n\"id\":\" \"}"),
            "f.json: line 1, column 18 (/defaultAccess): defaultAccess is neither allow nor deny\n"
            "f.json: line 2, column 6 (/id): the id is blank");
  EXPECT_EQ(good(R"({"defaultAccess":"allow"})").item(Service::kImds)->default_access, "allow");
}

TEST(RuleSource, AnEmptyLocalFileIsOneAsForTheAgent) {
  const RuleSource source = good("{}");
  EXPECT_EQ(source.form, RuleForm::kLocalFile);
  EXPECT_EQ(source.item(Service::kImds)->default_access, "deny");
  EXPECT_THAT(source.remarks, ElementsAre(HasSubstr("adds nothing")));
  EXPECT_THAT(bad("[]"), HasSubstr("no version"));
}

TEST(RuleSource, BytesThatAreNoUtf8AreReadAsTheAgentDoes) {
  // A raw byte, in a value and in a name; half of a pair of escapes.
  for (const char* odd : {"\"id\":\"a\xff\"", "\"id\":\"x\",\"\xc3\":1", R"("id":"a\udc00")"}) {
    const std::string members = std::string(odd) + R"(,"defaultAccess":"deny")";
    const RuleSource source = good("{" + members + R"(,"mode":"audit"})");
    EXPECT_THAT(source.remarks, ElementsAre(HasSubstr("read as U+FFFD"))) << odd;
    EXPECT_THAT(good(R"({"imds":{)" + members + R"(,"mode":"audit"}})").remarks, ElementsAre(HasSubstr("(/imds/")))
        << odd;
    // Nobody accepts it in a local file, nor in what a gallery keeps.
    EXPECT_THAT(bad("{" + members + "}"), HasSubstr("line 1, column")) << odd;
    EXPECT_THAT(bad(R"({"properties":{"mode":"Audit",)" + members + "}}"), HasSubstr("line 1, column")) << odd;
  }
}

TEST(RuleSource, VersionsOfAccessControlProfiles) {
  const std::string profile = "/subscriptions/S/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles/";
  const auto version = [&](const std::string& name) {
    return R"({"id":")" + profile + name +
           R"(/versions/1.0.0","properties":{"mode":"Audit","defaultAccess":"Allow","targetLocations":[],"rules":)" +
           std::string(kRules) + "}}";
  };
  const auto endpoint = [&](const std::string& name, const std::string& service) {
    return R"({"id":")" + profile + name + R"(","properties":{"osType":"Linux","applicableHostEndpoint":")" + service +
           R"("}})";
  };
  const RuleSource one = good(version("p"));
  EXPECT_EQ(one.form, RuleForm::kArm);
  ASSERT_TRUE(one.single);
  EXPECT_EQ(one.single->pointer, "/properties");
  EXPECT_EQ(one.single->item.mode, "Audit");
  EXPECT_THAT(one.single->item.id, HasSubstr("GALLERIES/N/INVMACCESSCONTROLPROFILES/P/VERSIONS/1.0.0"));

  const RuleSource two = good("{\"value\":[" + version("P") + "," + version("q") + "," + endpoint("p", "IMDS") + "," +
                              endpoint("q", "WireServer") + "]}");
  EXPECT_THAT(two.item(Service::kImds)->id, HasSubstr("/P/VERSIONS"));
  EXPECT_THAT(two.item(Service::kHostGaPlugin)->id, HasSubstr("/Q/VERSIONS"));

  std::string own = version("p");
  own.replace(own.find("\"targetLocations\":[]"), 20, R"("applicableHostEndpoint":"WireServer")");
  EXPECT_THAT(good(own).item(Service::kWireServer)->id, HasSubstr("/P/VERSIONS"));
  EXPECT_EQ(good(own).item(Service::kImds), nullptr);

  EXPECT_THAT(bad("[" + version("p") + "," + version("q") + "]"), HasSubstr("more than one version"));
  EXPECT_THAT(bad("[" + endpoint("p", "IMDS") + "]"), HasSubstr("no version"));
  EXPECT_THAT(bad(R"({"properties":{"mode":"Enforce","defaultAccess":"maybe"}})"),
              HasSubstr("(/properties/defaultAccess): defaultAccess is neither"));
  EXPECT_THAT(bad(R"({"properties":{"mode":"On","defaultAccess":"Deny"}})"), HasSubstr("mode is none of"));
  EXPECT_THAT(good(R"({"properties":{"defaultAccess":"Deny"}})").remarks, ElementsAre(HasSubstr("no mode")));
}

TEST(RuleSource, ARepeatedMemberAroundTheRulesIsRefusedAtTheSecond) {
  const std::string services = R"({"imds":)" + item("a") + "}";
  EXPECT_EQ(bad("{\"authorizationRules\":" + services + ",\n\"authorizationRules\":" + services + "}"),
            "f.json: line 3, column 22 (/authorizationRules): the member occurs twice");
  const std::string properties = R"("properties":{"mode":"Audit","defaultAccess":"Deny"})";
  EXPECT_EQ(bad(R"({"id":"x",)" + properties + ",\n" + properties + "}"),
            "f.json: line 2, column 14 (/properties): the member occurs twice");
  const std::string list = "\"value\":[{" + properties + "}]";
  EXPECT_EQ(bad("{" + list + ",\n" + list + "}"), "f.json: line 2, column 9 (/value): the member occurs twice");
  EXPECT_EQ(bad(R"({"value":[{"id":"/a/b","properties":{"applicableHostEndpoint":"IMDS",
"applicableHostEndpoint":"WireServer"}},{"id":"/a/b/versions/1",)" +
                properties + "}]}"),
            "f.json: line 2, column 26 (/value/0/properties/applicableHostEndpoint): the member occurs twice");
  EXPECT_THAT(bad(R"({"id":"x","id":"y",)" + properties + "}"), HasSubstr("(/id): the member occurs twice"));
}

TEST(RuleSource, OtherEncodingsAreNamed) {
  const std::string bom_16("\xFF\xFE{\0}\0", 6);
  const std::string bare_16("\0{\0}", 4);
  const std::string bare_32("{\0\0\0}\0\0\0", 8);
  for (const std::string& text : {bom_16, bare_16}) {
    EXPECT_EQ(bad(text), "f.json: line 1, column 1: this is UTF-16");
    EXPECT_THAT(read_cases(text, "c").error().message, HasSubstr("this is UTF-16"));
  }
  EXPECT_EQ(bad(bare_32), "f.json: line 1, column 1: this is UTF-32");
  EXPECT_THAT(bad(std::string("{\"id\":\"\0\"}", 10)), HasSubstr("a NUL byte"));
}

TEST(RuleSource, AByteOrderMarkIsReadWhereItsReaderReadsIt) {
  const std::string bom = "\xEF\xBB\xBF";
  EXPECT_TRUE(read_rules(bom + R"({"id":"x","defaultAccess":"deny"})", "f")) << "as the agent: a local rule file";
  EXPECT_TRUE(read_rules(bom + R"({"properties":{"mode":"Audit","defaultAccess":"Deny"}})", "f")) << "as msp-host";
  for (const std::string& text :
       {item("a"), R"({"imds":)" + item("a") + "}",
        std::string(R"({"authorizationScheme":"Azure-HMAC-SHA256","keyDeliveryMethod":"http","version":"2.0",
                        "secureChannelEnabled":false})")}) {
    EXPECT_THAT(bad(bom + text), HasSubstr("f.json: line 1, column 1: there is a byte order mark")) << text;
  }
}

TEST(RuleSource, OfAStatusDocumentAllIsToldAtOnce) {
  EXPECT_EQ(bad(R"({"authorizationScheme":"a","keyDeliveryMethod":"http","version":2,"secureChannelEnabled":true,
"authorizationRules":{"imds":{"defaultAccess":"allow","mode":5,"id":"x"}}})"),
            "f.json: line 1, column 65 (/version): expected a string, found a whole number\n"
            "f.json: line 2, column 62 (/authorizationRules/imds/mode): expected a string, found a whole number");
}

TEST(RuleSource, AnOpenmspThatNobodyKnowsRefusesAVersion) {
  EXPECT_THAT(bad(R"({"properties":{"mode":"Audit","defaultAccess":"Deny",
    "openmsp":{"x":1}}})"),
              HasSubstr("f.json: line 2, column 15 (/properties/openmsp): an openmsp is not known here"));
  EXPECT_THAT(bad(R"([{"openmsp":{},"properties":{"mode":"Audit","defaultAccess":"Deny"}}])"),
              HasSubstr("(/0/openmsp)"));
  EXPECT_THAT(bad(R"([{"id":"/p","properties":{"applicableHostEndpoint":"IMDS","openmsp":null}}])"),
              HasSubstr("(/0/properties/openmsp)"));
  EXPECT_THAT(bad(R"({"value":[],"openmsp":{}})"), HasSubstr("(/openmsp)"));
}

TEST(RuleSource, ErrorsNameTheirPlace) {
  EXPECT_EQ(bad("{\n  \"mode\": \"enforce\",\n  \"id\": 7, \"defaultAccess\": \"deny\"}"),
            "f.json: line 3, column 9 (/id): expected a string, found a whole number");
  EXPECT_THAT(bad("{\"mode\":"), HasSubstr("f.json: line 1, column 9"));
  EXPECT_THAT(bad("[]"), HasSubstr("f.json: line 1, column 1: there is no version"));
  EXPECT_THAT(bad("7"), HasSubstr("rules are an object"));
  EXPECT_THAT(bad("{\"rulez\":1}"), HasSubstr("no rules in any form"));
}

TEST(RuleSource, RulesInForceHaveEachServiceAsItIsDecided) {
  const std::string services =
      R"({"imds":)" + item("a") + R"(,"wireserver":)" + item("b_local", "allow") + R"(,"hostga":)" + item("b") + "}";
  const RuleSource source = good(R"({"inputRules":)" + services + R"(,"computedRules":{"imds":7}})");
  EXPECT_EQ(source.form, RuleForm::kDump);
  EXPECT_EQ(source.item(Service::kWireServer)->id, "b_local");
  EXPECT_EQ(source.item(Service::kHostGaPlugin)->id, "b") << "a local rule file adds nothing to it";
  EXPECT_TRUE(source.has_own_hostga());
  EXPECT_THAT(source.remarks, IsEmpty());
  EXPECT_FALSE(source.compile(policy::Matching::kEnforce).of(Service::kHostGaPlugin)->default_allow());
  EXPECT_FALSE(
      good(R"({"inputRules":{"wireserver":)" + item("b_local") + R"(,"hostga":)" + item("b") + "}}").has_own_hostga())
      << "the id alone tells of local rule files";
  EXPECT_EQ(good(R"({"inputRules":{}})").item(Service::kImds), nullptr);
  EXPECT_THAT(bad(R"({"inputRules":{"imds":7}})"), HasSubstr("/inputRules/imds"));
  EXPECT_THAT(bad(R"({"inputRules":{},"inputRules":{}})"), HasSubstr("inputRules"));
}

}  // namespace
}  // namespace msp::authoring
