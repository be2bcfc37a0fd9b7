// SPDX-License-Identifier: Apache-2.0
#include "gateway/scale_set.h"

#include <gtest/gtest.h>

#include "gateway/model_text.h"

namespace msp::gateway {
namespace {

json::Value tree(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed) << parsed.error().text();
  return parsed ? std::move(*parsed) : json::Value();
}

ScaleSet set_of(std::string_view text) {
  json::Problems problems({}, "set");
  ScaleSet set = read_scale_set(tree(text), problems);
  EXPECT_TRUE(problems.empty()) << (problems.lines().empty() ? "" : problems.lines().front());
  return set;
}

std::string text_at(const json::Value& of, std::string_view pointer) {
  const json::Value* value = of.at(pointer);
  return value == nullptr ? "nothing" : json::to_text(*value);
}

constexpr std::string_view kSet =
    R"({"name":"web","id":"/subscriptions/S/providers/C/virtualMachineScaleSets/Web","tags":{"a":"b"},"sku":{"name":"big"},
        "plan":{"name":"p"},"openmsp":{"compute":{"azEnvironment":"lab"}},"properties":{"virtualMachineProfile":{"priority":"Spot","osProfile":{"adminUsername":"op","secrets":[]},
          "networkProfile":{"x":1},"securityProfile":{"securityType":"TrustedLaunch","encryptionAtHost":true,
            "uefiSettings":{"secureBootEnabled":true},"proxyAgentSettings":{"enabled":true,"keyIncarnationId":4}},
          "extensionProfile":{"extensions":[{"name":"e","properties":{"type":"T"}}]}}}})";

TEST(ScaleSet, AnInstanceIsFoundByItsIdOrByWhatItNames) {
  const auto of = [](std::string_view text) { return scale_set_of(tree(text)); };
  EXPECT_EQ(of(R"({"id":"/s/virtualMachineScaleSets/Web/virtualMachines/0"})"), "/s/virtualmachinescalesets/web");
  EXPECT_EQ(
      of(R"({"id":"/s/virtualMachines/a","properties":{"virtualMachineScaleSet":{"id":"/s/virtualMachineScaleSets/Web"}}})"),
      "/s/virtualmachinescalesets/web");
  EXPECT_EQ(of(R"({"id":"/s/virtualMachines/a"})"), "");
  EXPECT_EQ(of(R"({"id":"/s/virtualMachineScaleSets/Web"})"), "");
  EXPECT_EQ(of(R"({"properties":{"virtualMachineScaleSet":{"id":"elsewhere"}}})"), "");
  EXPECT_EQ(of("[]"), "");
  EXPECT_TRUE(is_scale_set_id("/s/virtualMachineScaleSets/Web"));
  EXPECT_FALSE(is_scale_set_id("/s/virtualMachineScaleSets/"));
  EXPECT_FALSE(is_scale_set_id("/s/virtualMachineScaleSets/Web/virtualMachines/0"));
}

TEST(ScaleSet, SettingsAreThoseOfTheSetAndTheHigherIncarnation) {
  const ScaleSet set = set_of(kSet);
  EXPECT_TRUE(set.proxy_agent.enabled);
  ProxyAgentSettings own;
  own.mode = Mode::kAudit;
  EXPECT_EQ(settings_of_instance(set.proxy_agent, own).key_incarnation_id, 4U);
  EXPECT_FALSE(settings_of_instance(set.proxy_agent, own).mode.has_value());
  own.key_incarnation_id = 9;
  EXPECT_EQ(settings_of_instance(set.proxy_agent, own).key_incarnation_id, 9U);
  ProxyAgentSettings silent;
  silent.key_incarnation_id = 7;
  own = {};
  own.enabled = true;
  EXPECT_TRUE(settings_of_instance(silent, own).enabled) << "a set that says nothing opens nothing";
  EXPECT_EQ(settings_of_instance(silent, own).key_incarnation_id, 7U);
}

TEST(ScaleSet, AnInstanceKeepsWhatItSaysAndGetsTheRest) {
  const json::Value document = document_of_instance(
      tree(
          R"({"name":"web_0","tags":null,"sku":{"name":"small"},"properties":{"osProfile":{"computerName":"c","adminUsername":"own"}}})"),
      set_of(kSet));
  EXPECT_EQ(text_at(document, "/tags/a"), R"("b")");
  EXPECT_EQ(text_at(document, "/plan/name"), R"("p")");
  EXPECT_EQ(text_at(document, "/openmsp/compute/azEnvironment"), R"("lab")");
  EXPECT_EQ(text_at(document, "/properties/priority"), R"("Spot")");
  EXPECT_EQ(text_at(document, "/properties/osProfile/computerName"), R"("c")");
  EXPECT_EQ(text_at(document, "/properties/osProfile/adminUsername"), R"("own")");
  EXPECT_EQ(text_at(document, "/properties/osProfile/secrets"), "[]");
  EXPECT_EQ(text_at(document, "/properties/hardwareProfile/vmSize"), R"("small")");
  EXPECT_EQ(text_at(document, "/properties/networkProfile"), "nothing");
  EXPECT_EQ(text_at(document, "/properties/securityProfile/securityType"), R"("TrustedLaunch")");
  EXPECT_EQ(text_at(document, "/properties/securityProfile/uefiSettings/secureBootEnabled"), "true");
  EXPECT_EQ(text_at(document, "/properties/securityProfile/proxyAgentSettings"), "nothing");
  EXPECT_EQ(text_at(document, "/resources/0/type"), R"("Microsoft.Compute/virtualMachineScaleSets/extensions")");
  EXPECT_EQ(text_at(document, "/properties/virtualMachineScaleSet/id"),
            R"("/subscriptions/S/providers/C/virtualMachineScaleSets/Web")");
}

TEST(ScaleSet, AnInstanceKeepsItsOwnSecurityBesideThatOfItsSet) {
  const json::Value document = document_of_instance(
      tree(R"({"name":"web_0","plan":{"name":"own"},"properties":{"securityProfile":{"encryptionAtHost":false,
              "proxyAgentSettings":{"keyIncarnationId":9}}}})"),
      set_of(kSet));
  EXPECT_EQ(text_at(document, "/plan/name"), R"("own")");
  EXPECT_EQ(text_at(document, "/properties/securityProfile/encryptionAtHost"), "false");
  EXPECT_EQ(text_at(document, "/properties/securityProfile/securityType"), R"("TrustedLaunch")");
  EXPECT_EQ(text_at(document, "/properties/securityProfile/proxyAgentSettings"), R"({"keyIncarnationId":9})");
}

TEST(ScaleSet, WrongSettingsRefuseIt) {
  for (
      const std::string_view text :
      {R"({"name":"web","id":"/s/virtualMachineScaleSets/web"})",
       R"({"name":"","id":"/s/virtualMachineScaleSets/w","properties":{}})",
       R"({"name":"web","id":"/s/other/web","properties":{}})",
       R"({"name":"web","id":"/s/virtualMachineScaleSets/web","properties":{"virtualMachineProfile":{"securityProfile":{
            "proxyAgentSettings":{"imds":{"mode":"Sometimes"}}}}}})"}) {
    json::Problems problems({}, "set");
    read_scale_set(tree(text), problems);
    EXPECT_FALSE(problems.empty()) << text;
  }
}

TEST(ModelText, TheIncarnationGoesWhereTheSettingsAreAndNothingElseChanges) {
  const auto own = [](std::string_view text) { return with_own_incarnation(text, tree(text), 7); };
  EXPECT_EQ(own(R"({ "properties" : {} })"),
            R"({ "properties" : {"securityProfile":{"proxyAgentSettings":{"keyIncarnationId":7}}} })");
  EXPECT_EQ(own(R"({"properties":{"a":1,"securityProfile":null}})"),
            R"({"properties":{"a":1,"securityProfile":{"proxyAgentSettings":{"keyIncarnationId":7}}}})");
  EXPECT_EQ(own(R"({"properties":{"securityProfile":{"b":2}}})"),
            R"({"properties":{"securityProfile":{"proxyAgentSettings":{"keyIncarnationId":7},"b":2}}})");
  EXPECT_EQ(own(R"({"properties":{"securityProfile":{"proxyAgentSettings":{"keyIncarnationId": 3 }}}})"),
            R"({"properties":{"securityProfile":{"proxyAgentSettings":{"keyIncarnationId": 7 }}}})");
  EXPECT_EQ(own("{}"), "");
  EXPECT_EQ(with_incarnation(kSet, tree(kSet), 5, kScaleSetSettings).find("\"keyIncarnationId\":4"), std::string::npos);
}

}  // namespace
}  // namespace msp::gateway
