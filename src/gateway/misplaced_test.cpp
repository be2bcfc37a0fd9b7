// SPDX-License-Identifier: Apache-2.0
#include "gateway/misplaced.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include "gateway/near_name.h"

namespace msp::gateway {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string found_in(std::string_view text, ResourceKind kind) {
  const auto tree = json::parse(text);
  EXPECT_TRUE(tree) << text;
  json::Problems problems({}, "x");
  if (tree) {
    refuse_misplaced(*tree, kind, "", problems);
  }
  std::string out;
  for (const json::Problem& problem : problems.list()) {
    out += fmt::format("{} {}\n", problem.pointer, problem.message);
  }
  return out;
}

std::string in_machine(std::string_view root, std::string_view properties) {
  return found_in(fmt::format(R"({{"name":"vm1",{}"properties":{{{}"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}}}})",
                              root, properties),
                  ResourceKind::kVirtualMachine);
}

std::string in_settings(std::string_view settings) {
  return in_machine("", fmt::format(R"("securityProfile":{{"proxyAgentSettings":{}}},)", settings));
}

std::string in_set(std::string_view root, std::string_view properties) {
  return found_in(
      fmt::format(R"({{"name":"w",{}"id":"/s/virtualMachineScaleSets/w","properties":{{{}"a":1}}}})", root, properties),
      ResourceKind::kScaleSet);
}

std::string in_version(std::string_view root, std::string_view properties) {
  return found_in(fmt::format(R"({{{}"id":"/g/inVMAccessControlProfiles/p/versions/1","properties":{{{}"a":1}}}})",
                              root, properties),
                  ResourceKind::kProfileVersion);
}

constexpr std::string_view kSecurity = R"("securityProfile":{"proxyAgentSettings":{"enabled":true}},)";
constexpr std::string_view kSettings = R"("proxyAgentSettings":{"enabled":true},)";

TEST(Misplaced, InAMachine) {
  EXPECT_EQ(in_machine(kSecurity, ""), "/securityProfile is not read here: put it at properties.securityProfile\n");
  EXPECT_EQ(in_machine(R"("Properties":{"x":1},)", ""), "/Properties is written properties\n");
  EXPECT_THAT(in_machine(R"("Id":"/s/virtualMachineScaleSets/w/virtualMachines/0",)", ""), HasSubstr("/Id is written"));
  for (const auto& [root, properties, pointer] : std::initializer_list<std::array<std::string_view, 3>>{
           {kSettings, "", "/proxyAgentSettings"},
           {"", kSettings, "/properties/proxyAgentSettings"},
           {"", R"("osProfile":{"securityProfile":{}},)", "/properties/osProfile/securityProfile"},
           {"", R"("a":[{"PROXYAGENTSETTINGS":{}}],)", "/properties/a/0/PROXYAGENTSETTINGS"},
           {"", R"("imds":{"mode":"Enforce"},)", "/properties/imds"},
           {"", R"("securityProfile":{"enabled":true},)", "/properties/securityProfile/enabled"},
           {"", R"("securityProfile":{"mode":"Enforce"},)", "/properties/securityProfile/mode"},
           {"", R"("securityProfile":{"wireServer":{}},)", "/properties/securityProfile/wireServer"},
           {"", R"("storageProfile":{"osDisk":{"managedDisk":{"securityProfile":{"proxyAgentSettings":{}}}}},)",
            "/properties/storageProfile/osDisk/managedDisk/securityProfile/proxyAgentSettings"},
           {R"("virtualMachineScaleSet":{"id":"/s/virtualMachineScaleSets/w"},)", "", "/virtualMachineScaleSet"},
           {"", R"("virtualMachineProfile":{},)", "/properties/virtualMachineProfile"}}) {
    EXPECT_THAT(in_machine(root, properties), HasSubstr(fmt::format("{} is not read here: ", pointer)));
  }
}

TEST(Misplaced, InAScaleSet) {
  EXPECT_EQ(in_set("", R"("virtualMachineProfile":{"securityProfile":{"proxyAgentSettings":{"enabled":true}}},)"), "");
  EXPECT_EQ(
      in_set("", kSecurity),
      "/properties/securityProfile is not read here: put it at properties.virtualMachineProfile.securityProfile\n");
  EXPECT_THAT(in_set(kSecurity, ""), HasSubstr("/securityProfile is not read here"));
  EXPECT_THAT(in_set(R"("virtualMachineProfile":{},)", ""), HasSubstr("put it at properties.virtualMachineProfile\n"));
  EXPECT_THAT(in_set("", R"("virtualMachineProfile":{"proxyAgentSettings":{}},)"), HasSubstr("is not read here"));
  EXPECT_THAT(in_set("", R"("virtualMachineProfiles":{},)"), HasSubstr("write virtualMachineProfile"));
  EXPECT_THAT(in_set("", R"("virtualMachineProfile":{"securityProfile":{"proxyAgentSettings":{"mode":"Enforce"}}},)"),
              HasSubstr("proxyAgentSettings/enabled is missing"));
  const auto with_id = [](std::string_view id) {
    return found_in(fmt::format(R"({{"id":"{}","properties":{{}}}})", id), ResourceKind::kScaleSet);
  };
  EXPECT_EQ(with_id("/s/resourceGroups/virtualMachineScaleSets/virtualMachineScaleSets/w"), "");
  for (const std::string_view id :
       {"", "/s//virtualMachineScaleSets/w", "s/virtualMachineScaleSets/w", "/s/virtualMachineScaleSets/w\\n",
        "/s/virtualMachineScaleSets/w?api-version=1", "/s/virtualMachineScaleSets/w%20"}) {
    EXPECT_EQ(with_id(id), "/id is not that of a scale set: write …/virtualMachineScaleSets/NAME\n") << id;
  }
}

TEST(Misplaced, WhatIsAskedForNeedsEnabled) {
  for (const std::string_view asks :
       {R"({"mode":"Enforce"})", R"({"enabled":null,"mode":"Audit"})", R"({"imds":{"mode":"Enforce"}})",
        R"({"wireServer":{"mode":"Enforce"}})", R"({"imds":{"inVMAccessControlProfileReferenceId":"/x"}})",
        R"({"wireServer":{"inVMAccessControlProfileReferenceId":"/x"}})"}) {
    EXPECT_THAT(in_settings(asks), AllOf(HasSubstr("/properties/securityProfile/proxyAgentSettings/enabled is missing"),
                                         HasSubstr("say true or false")));
  }
  // Words of other tools, and of nobody.
  for (const std::string_view unknown : {R"({"enableProxyAgent":true})", R"({"addProxyAgentExtension":true})",
                                         R"({"state":"Enabled"})", R"({"keyIncarnationId":1,"enforce":true})"}) {
    EXPECT_THAT(in_settings(unknown), HasSubstr("/proxyAgentSettings/enabled is missing, and there is /"));
  }
  for (const std::string_view nothing :
       {"{}", R"({"keyIncarnationId":3})", R"({"enabled":false,"addProxyAgentExtension":true})",
        R"({"imds":{"mode":"Disabled"}})", R"({"mode":null,"imds":null})",
        R"({"enabled":false,"mode":"Enforce","imds":{"mode":"Enforce"}})"}) {
    EXPECT_EQ(in_settings(nothing), "");
  }
}

TEST(Misplaced, SettingsOfAServiceOfWhichNothingIsRead) {
  EXPECT_EQ(in_settings(R"({"enabled":true,"imds":{"profile":"x"}})"),
            "/properties/securityProfile/proxyAgentSettings/imds/profile is not read, and nothing beside it is: write "
            "mode or inVMAccessControlProfileReferenceId\n");
  EXPECT_THAT(in_settings(R"({"enabled":true,"wireServer":{"mode":null,"allowlist":[]}})"),
              HasSubstr("/wireServer/allowlist is not read"));
  EXPECT_THAT(in_settings(R"({"enabled":true,"imds":{"mode":"","allowlist":[]}})"), HasSubstr("is not read"));
  for (const std::string_view good : {R"({"enabled":true,"imds":{}})", R"({"enabled":true,"imds":{"profile":null}})",
                                      R"({"enabled":true,"imds":{"mode":"Audit","profile":"x"}})"}) {
    EXPECT_EQ(in_settings(good), "");
  }
}

TEST(Misplaced, WhateverElseIsNamedAfterTheProxyAgent) {
  EXPECT_EQ(in_machine(R"("proxyAgentProfile":{"enabled":true},)", ""),
            "/proxyAgentProfile is not read: if proxyAgentSettings is meant, put it at "
            "properties.securityProfile.proxyAgentSettings\n");
  EXPECT_THAT(in_machine("", R"("proxyAgent":{"enabled":true},)"), HasSubstr("/properties/proxyAgent is not"));
  EXPECT_THAT(in_machine("", R"("securityProfile":{"enableProxyAgent":true},)"),
              HasSubstr("/properties/securityProfile/enableProxyAgent is not read"));
  EXPECT_THAT(in_set("", R"("virtualMachineProfile":{"enableProxyAgent":true},)"),
              HasSubstr("put it at properties.virtualMachineProfile.securityProfile.proxyAgentSettings"));
  EXPECT_EQ(in_machine(R"("tags":{"proxyAgent":"x"},)", ""), "");
  EXPECT_EQ(
      in_machine(R"("identity":{"userAssignedIdentities":{"/s/resourceGroups/rg-proxyagent/id/ProxyAgent1":{}}},)", ""),
      "");
}

TEST(Misplaced, NearNames) {
  EXPECT_EQ(
      in_settings(R"({"enable":true})"),
      "/properties/securityProfile/proxyAgentSettings/enable is not known: write enabled if that is meant, or take "
      "it out\n");
  EXPECT_THAT(in_settings(R"({"enabled":true,"idms":{}})"), HasSubstr("write imds"));
  EXPECT_THAT(in_settings(R"({"enabled":true,"imds":{"modes":"Enforce"}})"), HasSubstr("imds/modes is not known"));
  EXPECT_THAT(in_settings(R"({"enabled":true,"imds":{"inVMAccessControlProfileReference":"/x"}})"),
              HasSubstr("write inVMAccessControlProfileReferenceId"));
  EXPECT_THAT(in_machine("", R"("securityProfile":{"proxyAgentSetting":{}},)"), HasSubstr("write proxyAgentSettings"));
  EXPECT_THAT(in_machine("", R"("securityProfiles":{},)"), HasSubstr("write securityProfile"));
  EXPECT_EQ(
      in_settings(R"({"enabled":true,"addProxyAgentExtension":true,"somethingNew":{"mode":1}})"),
      "/properties/securityProfile/proxyAgentSettings/somethingNew/mode is not read here: put it at "
      "properties.securityProfile.proxyAgentSettings.mode or properties.securityProfile.proxyAgentSettings.imds.mode "
      "or properties.securityProfile.proxyAgentSettings.wireServer.mode\n");
  EXPECT_FALSE(is_near_name("id", "imds"));
  EXPECT_FALSE(is_near_name("Mode", "mode"));
  EXPECT_TRUE(is_near_name("mdoe", "mode"));
}

TEST(Misplaced, LongNamesThatAreMistypedAreFoundWhereverTheyStand) {
  EXPECT_EQ(in_machine("", R"("proxyAgentSetting":{"enabled":true},)"),
            "/properties/proxyAgentSetting is not known: if proxyAgentSettings is meant, put it at "
            "properties.securityProfile.proxyAgentSettings\n");
  EXPECT_THAT(in_machine(R"("securityProfil":{},)", ""), HasSubstr("/securityProfil is not known: if securityProfile"));
  for (const std::string_view properties :
       {R"("a":[{"securityProflie":{}}],)", R"("proxyAgnetSettings":{},)", R"("virtualMachinesProfile":{},)",
        R"("a":{"virtualMachineScaleSets":{}},)", R"("securityProfile":{"keyIncarnationID_":1},)",
        R"("securityProfile":{"inVMAccessControlProfileReferenceIds":""},)"}) {
    EXPECT_THAT(in_machine("", properties), HasSubstr("is not known: if ")) << properties;
  }
  EXPECT_THAT(in_machine("", R"("virtualMachineProfils":{},)"), HasSubstr("no virtual machine has it"));
  EXPECT_THAT(in_set("", R"("securityProfil":{},)"), HasSubstr("put it at properties.virtualMachineProfile.security"));
  const std::string once = in_machine("", R"("securityProfils":{},)");
  EXPECT_EQ(std::ranges::count(once, '\n'), 1) << once;
  EXPECT_EQ(in_machine("", R"("networkProfile":{},"storageProfile":{},"modes":1,"im":1,"enable":{"wireServers":1},)"),
            "");
  EXPECT_TRUE(is_near_name("secuirtyProfiel", "securityProfile")) << "two slips";
  EXPECT_TRUE(is_near_name("enabledd2", "enabled"));
  EXPECT_TRUE(is_near_name("wierServre", "wireServer"));
  EXPECT_FALSE(is_near_name("wierServreX", "wireServer"));
}

TEST(Misplaced, AnAllowlistInTheModelItself) {
  for (const std::string_view name :
       {"defaultAccess", "rules", "privileges", "roles", "identities", "roleAssignments", "DEFAULTACCESS"}) {
    for (const std::string_view at : {R"({{"enabled":true,"{}":1}})", R"({{"enabled":true,"imds":{{"{}":[]}}}})",
                                      R"({{"enabled":true,"wireServer":{{"x":[{{"{}":{{}}}}]}}}})"}) {
      const std::string settings = fmt::format(fmt::runtime(at), name);
      EXPECT_THAT(in_settings(settings), HasSubstr("an allowlist stands in a version of an inVMAccessControlProfile"));
      EXPECT_THAT(
          in_set("", fmt::format(R"("virtualMachineProfile":{{"securityProfile":{{"proxyAgentSettings":{}}}}},)",
                                 settings)),
          HasSubstr("an allowlist stands in"));
    }
  }
  EXPECT_EQ(in_machine("", R"("roles":[],"osProfile":{"rules":[]},"identities":{},)"), "");
}

TEST(Misplaced, TagsOfResourcesWithinItAreFree) {
  EXPECT_EQ(in_machine(R"("resources":[{"name":"e","tags":{"imds":"x","enabled":"y","securityProfile":"z"}}],)",
                       R"("networkProfile":{"networkInterfaces":[{"tags":{"wireServer":"a","b":null}}]},)"),
            "");
  EXPECT_THAT(in_machine("", R"("a":{"tags":{"imds":{}}},)"), HasSubstr("/properties/a/tags/imds is not read here"));
  EXPECT_THAT(in_machine("", R"("tags":[{"imds":"x"}],)"), HasSubstr("imds is not read here"));
}

TEST(Misplaced, OnlyWhatIsOfExtensionsAndDisksIsExempt) {
  for (const std::string_view properties :
       {R"("settings":{"imds":{}},)", R"("osProfile":{"settings":{"imds":{}}},)", R"("protectedSettings":{"imds":1},)",
        R"("managedDisk":{"securityProfile":{}},)", R"("storageProfile":{"securityProfile":{}},)",
        R"("osProfile":{"managedDisk":{"securityProfile":{}}},)"}) {
    EXPECT_THAT(in_machine("", properties), HasSubstr("is not read here")) << properties;
  }
  EXPECT_EQ(in_set("", R"("virtualMachineProfile":{"extensionProfile":{"extensions":[{"properties":
                       {"settings":{"imds":1},"protectedSettings":{"mode":1,"imds":1}}}]}},)"),
            "");
}

TEST(Misplaced, AnInstanceOfASetThatIsMisread) {
  const auto named = [](std::string_view id) {
    return in_machine(fmt::format(R"("id":"{}","type":"Microsoft.Compute/virtualMachines",)", id), "");
  };
  EXPECT_EQ(named("/s/virtualMachineScaleSets/w/virtualMachines/0"), "");
  EXPECT_EQ(named("/s/virtualMachineScaleSets/virtualMachine/virtualMachines/0"), "");
  EXPECT_EQ(named("/s/resourceGroups/virtualMachine1/virtualMachines/virtualMachine2"), "");
  EXPECT_THAT(in_machine(R"("id":"/s/virtualMachinesScaleSets/w/virtualMachines/0",)", ""),
              HasSubstr("is not that of an instance"));
  EXPECT_THAT(named("/s/virtualMachine/vm1"),
              HasSubstr("/id is not that of a virtual machine: write …/virtualMachines/"));
  EXPECT_EQ(named("/s/resourceGroups/virtualMachineScaleSets/virtualMachineScaleSets/w/virtualMachines/0"), "");
  EXPECT_EQ(named("/s/resourceGroups/virtualMachineScaleSets/x/virtualMachines/virtualMachineScaleSet1"), "");
  for (const std::string_view id :
       {"/s/virtualMachineScaleSets/w//virtualMachines/0", "/s/virtualMachineScaleSets/w/virtualMachines/0/",
        "/s/virtualMachineScaleSets//w/virtualMachines/0", "/s//virtualMachineScaleSets/w/virtualMachines/0",
        "/s/virtualMachineScaleSet/w/virtualMachines/0", "/s/virtualMachineScaleSets/w/virtualMachines/",
        "/s/virtualMachineScaleSets/w", "/s/virtualMachinesScaleSets/w/virtualMachines/0",
        "s/virtualMachineScaleSets/w/virtualMachines/0", "/s/VirtualMachineScaelSets/w/virtualMachines/0",
        "/s/virtualMachinScaleSets/w/virtualMachines/0"}) {
    EXPECT_THAT(named(id), HasSubstr("/id is not that of an instance: write …/virtualMachineScaleSets/NAME/")) << id;
  }
  EXPECT_THAT(in_machine(R"("type":"Microsoft.Compute/virtualMachineScaleSets/virtualMachines",)", ""),
              HasSubstr("/id is not that of an instance"));
  const auto linked = [](std::string_view link) {
    return in_machine("", fmt::format(R"("virtualMachineScaleSet":{},)", link));
  };
  EXPECT_EQ(linked(R"({"id":"/s/virtualMachineScaleSets/w","resourceGroup":"g"})"), "");
  EXPECT_EQ(linked("null"), "");
  for (const std::string_view link :
       {R"({"id":"/s/virtualMachineScaleSets/w/"})", R"({"Id":"/s/virtualMachineScaleSets/w"})", "{}",
        R"("/s/virtualMachineScaleSets/w")", R"({"id":"/s//virtualMachineScaleSets/w"})", R"({"id":null})",
        R"({"id":"/s/virtualMachineScaleSets/w "})", R"([{"id":"/s/virtualMachineScaleSets/w"}])"}) {
    EXPECT_THAT(linked(link), HasSubstr("/properties/virtualMachineScaleSet names no scale set: write {\"id\": \""))
        << link;
  }
  EXPECT_THAT(in_machine(R"("id":"/s/virtualMachineScaleSets/w/virtualMachines/0",)",
                         R"("virtualMachineScaleSet":{"id":"/s/virtualMachineScaleSets/v"},)"),
              HasSubstr("/properties/virtualMachineScaleSet/id is another set"));
}

TEST(Misplaced, AHardwareAddressThatIsNone) {
  const auto with = [](std::string_view mac) {
    return in_machine(
        "",
        fmt::format(R"("networkProfile":{{"networkInterfaces":[{{}},{{"properties":{{"macAddress":{}}}}}]}},)", mac));
  };
  for (const std::string_view good : {"null", R"("")", R"("00-0D-3A-12-34-56")", R"("000d3a123456")"}) {
    EXPECT_EQ(with(good), "");
  }
  for (const std::string_view bad : {R"("00-0D-3A-12-34")", R"("00-0D-3A-12-34-5G")", R"("00.0D.3A.12.34.56")", "7"}) {
    EXPECT_THAT(with(bad), HasSubstr("/networkInterfaces/1/properties/macAddress is no hardware address")) << bad;
  }
}

TEST(Misplaced, InAProfile) {
  EXPECT_EQ(in_version("", R"("mode":"Audit","defaultAccess":"Deny","rules":{"privileges":[]},)"), "");
  EXPECT_EQ(in_version(R"("rules":{},)", ""), "/rules is not read here: put it at properties.rules\n");
  EXPECT_THAT(in_version(R"("mode":"Enforce",)", ""), HasSubstr("put it at properties.mode"));
  EXPECT_THAT(in_version("", R"("privileges":[],)"), HasSubstr("put it at properties.rules.privileges"));
  EXPECT_THAT(in_version("", R"("rules":{"defaultAccess":"Deny"},)"), HasSubstr("put it at properties.defaultAccess"));
  EXPECT_THAT(in_version("", R"("rule":{},)"), HasSubstr("write rules"));
  EXPECT_THAT(in_version(R"("PROPERTIES":{},)", ""), HasSubstr("is written properties"));
  for (const std::string_view properties :
       {R"("properties":{"defaultAccess":"Deny"},)", R"("accessControl":{"rules":{}},)", R"("a":[{"mode":"Enforce"}],)",
        R"("a":{"b":{"privileges":[]}},)", R"("a":{"roles":[]},)", R"("a":{"identities":[]},)",
        R"("a":{"roleAssignments":[]},)"}) {
    EXPECT_THAT(in_version("", properties), HasSubstr("is not read here: put it at properties.")) << properties;
  }
  EXPECT_EQ(in_version(R"("tags":{"mode":"x"},)",
                       R"("rules":{"roles":[{"name":"r","privileges":["p"]}],"identities":[{"name":"i","mode":1}]},)"),
            "");
  for (const std::string_view section : {"priviledges", "role", "identitys", "roleAssignment"}) {
    const std::string rules = fmt::format(R"("rules":{{"{}":[]}},)", section);
    EXPECT_THAT(in_version("", R"("defaultAccess":"allow",)" + rules),
                HasSubstr(fmt::format("/properties/rules/{} is not known: write ", section)));
    EXPECT_EQ(in_version("", R"("defaultAccess":"Deny",)" + rules), "");
  }
  const std::string open = R"("defaultAccess":"Allow",)";
  EXPECT_EQ(in_version("", open + R"("rules":{"permissions":[{"name":"p"}]},)"),
            "/properties/rules/privileges names none: without them these rules close nothing, and the default is to "
            "allow\n");
  EXPECT_THAT(in_version("", open + R"("rules":{"privileges":[],"roles":[{"name":"r","privileges":["p"]}]},)"),
              HasSubstr("names none"));
  for (const std::string_view good : {R"("rules":{},)", R"("rules":null,)", R"("rules":{"privileges":[],"roles":[]},)",
                                      R"("rules":{"roles":[],"identities":null},)", R"("replicationMode":"Full",)"}) {
    EXPECT_EQ(in_version("", open + std::string(good)), "") << good;
  }
  EXPECT_THAT(
      found_in(R"({"id":"/g/inVMAccessControlProfiles/p","properties":{"a":{"rules":{}}}})", ResourceKind::kProfile),
      HasSubstr("it belongs to a version, at properties.rules"));
  EXPECT_THAT(found_in(R"({"id":"/g/inVMAccessControlProfiles/p","properties":{"defaultAccess":"Deny"}})",
                       ResourceKind::kProfile),
              HasSubstr("it belongs to a version, at properties.defaultAccess"));
}

/// Of this thread: whoever else is busy on the machine does not count.
double cpu_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double seconds_of(const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double begin = cpu_seconds();
    work();
    best = std::min(best, cpu_seconds() - begin);
  }
  return best;
}

/// Judging takes less than many times what parsing does, which is linear in the size: some ten times where a sanitizer
/// slows one of them more than the other, but thousands if it grew with the square.
void expect_linear(const std::string& text, const std::string& finds, double many_times = 100) {
  const json::Options options{.max_bytes = std::size_t{16} << 20, .max_nodes = 2'000'000};
  const auto tree = json::parse(text, options);
  ASSERT_TRUE(tree);
  const double parsing = seconds_of([&] { EXPECT_TRUE(json::parse(text, options)); });
  for (const auto kind : {ResourceKind::kVirtualMachine, ResourceKind::kScaleSet, ResourceKind::kProfileVersion}) {
    std::string found;
    const double judging = seconds_of([&] {
      json::Problems problems({}, "x");
      refuse_misplaced(*tree, kind, "", problems);
      EXPECT_LE(problems.list().size(), 21U);
      found = problems.empty() ? "" : problems.list().back().pointer + " " + problems.list().back().message;
    });
    EXPECT_LT(judging, many_times * parsing);
    EXPECT_LT(found.size(), 1000U);
    EXPECT_TRUE(kind != ResourceKind::kVirtualMachine || found == finds) << found;
  }
}

TEST(Misplaced, TheWorkIsLinearInTheSize) {
  constexpr int kItems = 5'000;
  const std::string name(230'000, 'n');
  const auto repeated = [](std::string_view item, int times) {
    std::string out(item);
    for (int i = 1; i < times; ++i) {
      out.append(",").append(item);
    }
    return out;
  };
  const auto model = [](std::string_view inside) {
    return fmt::format(R"({{"name":"v","properties":{{{}}}}})", inside);
  };
  expect_linear(model(fmt::format(R"("{}":[{}])", name, repeated("1", kItems))), "");
  expect_linear(model(fmt::format(R"("{}":[{}])", name, repeated(R"({"imds":1})", kItems))), " and 4980 more");
  expect_linear(model(fmt::format(R"("securityProfile":{{"proxyAgentSettings":{{"enabled":true,"{}":{{{}}}}}}})", name,
                                  repeated(R"("proxyAgentSettinks":0)", kItems))),
                // Each of these names is compared with those that it may have been meant for; to compare it with all
                // the others would be thousands of times as much.
                " and 4980 more", 1'000);
  expect_linear(model(fmt::format(R"("securityProfile":{{"proxyAgentSettings":{{{}}}}})",
                                  repeated(R"("modes":{},"enabled":true)", kItems / 10))),
                " and 480 more");
  std::string deep = repeated("1", kItems);
  constexpr int kLevels = 29;  // two each; the parser's depth is 64
  for (int i = 0; i < kLevels; ++i) {
    deep = fmt::format(R"({{"{}":[{}]}})", std::string(3'500, 'n'), deep);
  }
  expect_linear(model(fmt::format(R"("a":{})", deep)), "");
}

TEST(Misplaced, OfAVeryLongNameTheBeginningIsSaid) {
  EXPECT_EQ(in_machine("", fmt::format(R"("{}":{{"imds":1}},)", std::string(198, 'n') + "ääää")),
            fmt::format("/properties/{}ä…/imds is not read here: put it at "
                        "properties.securityProfile.proxyAgentSettings.imds\n",
                        std::string(198, 'n')));
}

TEST(Misplaced, ExportsPassAsTheyAre) {
  EXPECT_EQ(
      in_machine(
          R"("tags":{"imds":"x"},"resources":[{"properties":{"settings":{"proxyAgentSettings":1}}}],
                   "securityProfile":null,)",
          R"("securityProfile":{"uefiSettings":{"secureBootEnabled":true,"vTpmEnabled":true},"encryptionAtHost":true,
                   "securityType":"ConfidentialVM","encryptionIdentity":{"userAssignedIdentityResourceId":"/i"},
                   "proxyAgentSettings":{"enabled":true,"keyIncarnationId":1,"addProxyAgentExtension":true}},
                   "storageProfile":{"osDisk":{"managedDisk":{"securityProfile":
                     {"securityEncryptionType":"DiskWithVMGuestState","diskEncryptionSet":{"id":"/d"}}}},
                     "dataDisks":[{"managedDisk":{"securityProfile":{}}}]},
                   "scheduledEventsProfile":{"a":{"enable":true}},"hardwareProfile":{},)"),
      "");
  const auto text_of = [](const std::string& name) {
    std::ostringstream out;
    out << std::ifstream("tests/support/arm/" + name).rdbuf();
    return out.str();
  };
  EXPECT_EQ(found_in(text_of("scale_set.json"), ResourceKind::kScaleSet), "");
  const auto instances = json::parse(text_of("scale_set_instances.json"));
  ASSERT_TRUE(instances);
  for (const json::Value& instance : *instances->find("value")->array()) {
    EXPECT_EQ(found_in(json::to_text(instance), ResourceKind::kVirtualMachine), "");
  }
}

}  // namespace
}  // namespace msp::gateway
