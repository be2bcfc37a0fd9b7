// SPDX-License-Identifier: Apache-2.0
// Models, profiles and the registry that puts them together.
#include "gateway/model.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "gateway/inventory.h"
#include "gateway/profile.h"
#include "gateway/scale_set.h"
#include "gateway/vm_registry.h"

namespace msp::gateway {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kProfileId =
    "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles/P";

std::string model_text(std::string_view settings, std::string_view vm_id = "6F9619FF-8B86-4D01-B42D-00CF4FC964FF") {
  return R"({"name":"vm1","properties":{"vmId":")" + std::string(vm_id) +
         R"(","securityProfile":{"proxyAgentSettings":)" + std::string(settings) + "}}}";
}

VmModel model(std::string_view settings) {
  auto parsed = parse_model(model_text(settings), "vm.json");
  EXPECT_TRUE(parsed) << parsed.error().text();
  return parsed ? std::move(*parsed) : VmModel{};
}

std::string model_error(const std::string& text) {
  auto parsed = parse_model(text, "vm.json");
  EXPECT_FALSE(parsed) << text;
  return parsed ? "" : parsed.error().text();
}

ProfileCatalog catalog(std::string_view endpoint = "IMDS") {
  ProfileCatalog profiles;
  const auto added = profiles.add_text(
      "[{\"id\":\"" + std::string(kProfileId) + R"(/versions/1.0.0","properties":{"mode":"Audit","defaultAccess":"Deny",
        "rules":{"privileges":[],"roles":[],"identities":[],"roleAssignments":[]},"unknown":{}}},{"id":")" +
          std::string(kProfileId) + R"(","properties":{"applicableHostEndpoint":")" + std::string(endpoint) + "\"}}]",
      "profiles.json");
  EXPECT_TRUE(added) << added.error().text();
  return profiles;
}

TEST(Model, AMachineHasAnIdOfItsOwn) {
  for (const std::string_view vm_id :
       {"", "6f9619ff-8b86-4d01-b42d-00cf4fc9640", "6f9619ff_8b86_4d01_b42d_00cf4fc96401"}) {
    EXPECT_THAT(model_error(model_text(R"({"enabled":true})", vm_id)), HasSubstr("/properties/vmId")) << vm_id;
  }
}

TEST(Model, AnInstanceInAFileSaysItselfWhatIsClosed) {
  const auto with = [](std::string_view settings) {
    return std::string(model_text(settings)).insert(1, R"("id":"/s/virtualMachineScaleSets/w/virtualMachines/0",)");
  };
  EXPECT_THAT(model_error(with("{}")), HasSubstr("a machine of a file belongs to no scale set"));
  EXPECT_TRUE(parse_model(with(R"({"enabled":true})"), "vm.json"));
}

TEST(Model, WhatDecidesIsNotPassedOverForItsSpelling) {
  EXPECT_THAT(model_error(model_text(R"({"Enabled":true})")),
              AllOf(HasSubstr("/Enabled at"), HasSubstr("is written enabled")));
  EXPECT_THAT(model_error(model_text(R"({"enabled":true,"IMDS":{"mode":"Enforce"}})")), HasSubstr("is written imds"));
  EXPECT_THAT(model_error(model_text(R"({"enabled":true,"imds":{"Mode":"Enforce"}})")), HasSubstr("is written mode"));
  const std::string good = model_text(R"({"enabled":true})");
  for (const auto& [from, to] :
       {std::pair("securityProfile", "SecurityProfile"), std::pair("proxyAgentSettings", "ProxyAgentSettings")}) {
    std::string text = good;
    text.replace(text.find(from), std::strlen(from), to);
    EXPECT_THAT(model_error(text), HasSubstr(std::string("is written ") + from));
  }
  EXPECT_TRUE(parse_model(model_text(R"({"enabled":true,"addProxyAgentExtension":true})"), "vm.json"));
}

TEST(Model, WhatIsWrittenAsItShouldBeIsTaken) {
  EXPECT_TRUE(parse_model(R"({"name":"vm1","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
      "virtualMachineScaleSet":{"id":"/s/virtualMachineScaleSets/w"},"securityProfile":{"proxyAgentSettings":{
      "enabled":true,"mode":"Audit","keyIncarnationId":1,"wireServer":{"mode":"Enforce"},"imds":{"mode":"Audit",
      "inVMAccessControlProfileReferenceId":"/x"}}}}})",
                          "vm.json"));
  EXPECT_FALSE(parse_model(R"({"name":"vm1","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
      "VirtualMachineScaleSet":{"id":"/s/virtualMachineScaleSets/w"}}})",
                           "vm.json"));
}

TEST(Model, NeitherIsWhatLeadsToIt) {
  const auto error_of = [](std::string_view text, auto read) {
    const auto tree = json::parse(text);
    EXPECT_TRUE(tree) << text;
    json::Problems problems(text, "x");
    read(*tree, problems);
    const auto result = problems.result();
    return result ? std::string() : result.error().text();
  };
  EXPECT_THAT(error_of(R"({"name":"w","id":"/s/virtualMachineScaleSets/w","properties":{"VirtualMachineProfile":{}}})",
                       [](const json::Value& tree, json::Problems& problems) { read_scale_set(tree, problems); }),
              HasSubstr("is written virtualMachineProfile"));
  ProfileCatalog profiles;
  const auto added = profiles.add_text("[{\"id\":\"" + std::string(kProfileId) +
                                           R"(/versions/1.0.0","properties":{"defaultAccess":"Allow","Rules":{}}}])",
                                       "profiles.json");
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().text(), HasSubstr("is written rules"));
}

TEST(Model, AFlattenedOneIsToldApart) {
  EXPECT_THAT(model_error(R"({"name":"vm1","vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff"})"),
              HasSubstr("az resource show"));
  EXPECT_THAT(model_error(R"({"name":"vm1"})"), Not(HasSubstr("az resource show")));
  EXPECT_FALSE(model(R"({"enabled":null})").proxy_agent.enabled);
}

TEST(Model, ReadsTheSettings) {
  const VmModel vm = model(
      R"({"enabled":true,"mode":"Audit","keyIncarnationId":7,"wireServer":{"mode":"Enforce"},
          "imds":{"mode":"Disabled","inVMAccessControlProfileReferenceId":"/x"},"addProxyAgentExtension":true})");
  EXPECT_EQ(vm.name, "vm1");
  EXPECT_EQ(vm.vm_id, "6f9619ff-8b86-4d01-b42d-00cf4fc964ff");
  EXPECT_TRUE(vm.proxy_agent.enabled);
  EXPECT_EQ(vm.proxy_agent.mode, Mode::kAudit);
  EXPECT_EQ(vm.proxy_agent.key_incarnation_id, 7U);
  EXPECT_EQ(vm.proxy_agent.wire_server.mode, Mode::kEnforce);
  EXPECT_EQ(vm.proxy_agent.imds.mode, Mode::kDisabled);
  EXPECT_EQ(vm.proxy_agent.imds.profile_reference, "/x");
}

TEST(Model, NullIsLikeAbsent) {
  const VmModel vm = model(R"({"enabled":true,"mode":null,"keyIncarnationId":null,"wireServer":null,
      "imds":{"mode":null,"inVMAccessControlProfileReferenceId":null}})");
  EXPECT_FALSE(vm.proxy_agent.mode);
  EXPECT_EQ(vm.proxy_agent.imds.profile_reference, "");
  auto bare = parse_model(R"({"name":"v","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
      "securityProfile":null}})",
                          "vm.json");
  ASSERT_TRUE(bare);
  EXPECT_FALSE(bare->proxy_agent.enabled);
}

TEST(Model, RefusesWrongSecuritySettings) {
  EXPECT_THAT(model_error(model_text(R"({"enabled":"yes"})")), HasSubstr("/proxyAgentSettings/enabled"));
  EXPECT_THAT(model_error(model_text(R"({"enabled":true,"mode":"Disabled"})")), HasSubstr("/mode"));
  EXPECT_THAT(model_error(model_text(R"({"enabled":true,"imds":{"mode":"Enforced"}})")), HasSubstr("/imds/mode"));
  EXPECT_THAT(model_error(model_text(R"({"enabled":true,"imds":"Enforce"})")), HasSubstr("/imds"));
  EXPECT_THAT(model_error(model_text(R"({"enabled":true,"keyIncarnationId":-1})")), HasSubstr("keyIncarnationId"));
  EXPECT_THAT(model_error(model_text(R"({"enabled":true})", "vm-one")), HasSubstr("/properties/vmId"));
  EXPECT_THAT(model_error(R"({"name":"v"})"), HasSubstr("/properties"));
  EXPECT_THAT(model_error(R"({"name":"v","properties":{}})"), HasSubstr("vmId"));
  EXPECT_THAT(model_error("{"), HasSubstr("vm.json"));
}

TEST(Profiles, AreFoundWithoutRegardToCase) {
  const ProfileCatalog profiles = catalog();
  EXPECT_EQ(profiles.size(), 1U);
  const ProfileVersion* version = profiles.find(ascii_upper(std::string(kProfileId) + "/versions/1.0.0"));
  ASSERT_NE(version, nullptr);
  EXPECT_EQ(version->endpoint, Service::kImds);
  EXPECT_EQ(version->mode, Mode::kAudit);
  EXPECT_FALSE(version->default_allow);
  ASSERT_TRUE(version->rules);
  EXPECT_TRUE(version->rules->privileges);
  EXPECT_EQ(profiles.find("/other"), nullptr);
}

TEST(Profiles, AListCallOfArmIsAcceptedAsItIs) {
  ProfileCatalog profiles;
  ASSERT_TRUE(profiles.add_text(
      R"({"value":[{"id":"/a/inVMAccessControlProfiles/p/versions/1","properties":{"defaultAccess":"Allow"}}],
          "nextLink":null})",
      "list.json"));
  EXPECT_NE(profiles.find("/A/invmaccesscontrolprofiles/P/versions/1"), nullptr);
}

TEST(Profiles, OfTwoListsNoneIsTaken) {
  ProfileCatalog profiles;
  const auto added = profiles.add_text(
      R"({"value":[{"id":"/a/inVMAccessControlProfiles/p/versions/1","properties":{"defaultAccess":"Allow"}}],
          "value":[]})",
      "list.json");
  ASSERT_FALSE(added);
  EXPECT_THAT(added.error().text(), HasSubstr("/value at line 1, column 1: occurs twice"));
}

TEST(Profiles, AreTakenUpToTheSizeThatTheToolsTake) {
  constexpr int kPrivileges = 60'000;  // 5 MB and 300,000 values: more than other files may be
  std::string text = R"({"id":"/a/inVMAccessControlProfiles/p/versions/1","properties":{"defaultAccess":"Deny",
      "rules":{"privileges":[)";
  for (int i = 0; i < kPrivileges; ++i) {
    const std::string number = std::to_string(i);
    text += (i == 0 ? "" : ",") + (R"({"name":"p)" + number) + R"(","path":"/metadata/a/path/of/some/length/)" +
            number + "\"}";
  }
  const std::string path = testing::TempDir() + "large_profile.json";
  std::ofstream(path) << text << R"(],"roles":[],"identities":[],"roleAssignments":[]}}})";
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  ProfileCatalog profiles;
  const auto added = profiles.add_file(path);
  std::filesystem::remove(path);
  ASSERT_TRUE(added) << added.error().text();
  const ProfileVersion* version = profiles.find("/a/inVMAccessControlProfiles/p/versions/1");
  ASSERT_NE(version, nullptr);
  EXPECT_EQ(version->rules->privileges->size(), kPrivileges);
}

TEST(Profiles, AWrongRuleRefusesTheFile) {
  const auto error_of = [](std::string_view properties) {
    ProfileCatalog profiles;
    auto added = profiles.add_text(
        R"({"id":"/a/inVMAccessControlProfiles/p/versions/1","properties":)" + std::string(properties) + "}", "p.json");
    EXPECT_FALSE(added) << properties;
    return added ? "" : added.error().text();
  };
  EXPECT_THAT(error_of(R"({"defaultAccess":"Maybe"})"), HasSubstr("/properties/defaultAccess"));
  EXPECT_THAT(error_of(R"({"defaultAccess":"Allow","mode":"On"})"), HasSubstr("/properties/mode"));
  EXPECT_THAT(error_of(R"({"defaultAccess":"Allow","rules":{"privileges":[{"name":"x"}]}})"),
              HasSubstr("/properties/rules"));
  EXPECT_THAT(error_of("{}"), HasSubstr("defaultAccess"));
}

TEST(Profiles, AnOpenmspThatNobodyKnowsRefusesTheFile) {
  const auto error_of = [](const std::string& text) {
    ProfileCatalog profiles;
    auto added = profiles.add_text(text, "p.json");
    EXPECT_FALSE(added) << text;
    return added ? "" : added.error().text();
  };
  const std::string id = R"("id":"/a/inVMAccessControlProfiles/p/versions/1")";
  EXPECT_THAT(error_of("{" + id + R"(,"properties":{"defaultAccess":"Allow","openmsp":{"x":1}}})"),
              HasSubstr("/properties/openmsp at line 1, column 89: is not known here"));
  EXPECT_THAT(error_of("[{" + id + R"(,"openmsp":{},"properties":{"defaultAccess":"Allow"}}])"),
              HasSubstr("/0/openmsp at line 1"));
  EXPECT_THAT(error_of(R"({"id":"/a/inVMAccessControlProfiles/p","properties":{"applicableHostEndpoint":"IMDS",
      "openmsp":null}})"),
              HasSubstr("/properties/openmsp at line 2"));
  EXPECT_THAT(error_of(R"({"openmsp":{},"value":[]})"), HasSubstr("/openmsp at line 1"));
}

TEST(Registry, WithoutAProfileTheDefaultsOfTheProtocolHold) {
  auto vm = make_vm(model(R"({"enabled":true,"wireServer":{"mode":"Audit"}})"), {});
  ASSERT_TRUE(vm);
  EXPECT_EQ(vm->imds.mode, Mode::kEnforce);
  EXPECT_EQ(vm->wire_server.mode, Mode::kAudit);
  EXPECT_EQ(&vm->policy(Service::kHostGaPlugin), &vm->wire_server);
  EXPECT_TRUE(vm->imds.default_allow);
  EXPECT_FALSE(vm->imds.rules);
  EXPECT_FALSE(vm->imds.rule_id.empty());
  EXPECT_NE(vm->imds.rule_id, vm->wire_server.rule_id);
}

TEST(Registry, NotEnabledIsDisabled) {
  auto vm = make_vm(model(R"({"enabled":false,"mode":"Enforce","imds":{"mode":"Enforce"}})"), {});
  ASSERT_TRUE(vm);
  EXPECT_EQ(vm->imds.mode, Mode::kDisabled);
  EXPECT_EQ(vm->wire_server.mode, Mode::kDisabled);
}

TEST(Registry, TheProfileGivesRulesAndModeUnlessTheEndpointSaysItsOwn) {
  const std::string reference = std::string(kProfileId) + "/Versions/1.0.0";
  auto vm = make_vm(
      model(R"({"enabled":true,"mode":"Enforce","imds":{"inVMAccessControlProfileReferenceId":")" + reference + "\"}}"),
      catalog());
  ASSERT_TRUE(vm) << vm.error().text();
  EXPECT_EQ(vm->imds.mode, Mode::kAudit);
  EXPECT_EQ(vm->imds.rule_id, ascii_upper(reference));
  EXPECT_FALSE(vm->imds.default_allow);
  EXPECT_TRUE(vm->imds.rules);

  auto own = make_vm(
      model(R"({"enabled":true,"imds":{"mode":"Enforce","inVMAccessControlProfileReferenceId":")" + reference + "\"}}"),
      catalog());
  ASSERT_TRUE(own);
  EXPECT_EQ(own->imds.mode, Mode::kEnforce);
  EXPECT_NE(own->imds.rule_id, vm->imds.rule_id) << "the agent looks at the id only";
}

TEST(Registry, AReferenceThatDoesNotFitIsRefused) {
  const std::string imds = R"({"enabled":true,"imds":{"inVMAccessControlProfileReferenceId":")" +
                           std::string(kProfileId) + "/versions/1.0.0\"}}";
  auto foreign = make_vm(model(imds), catalog("WireServer"));
  ASSERT_FALSE(foreign);
  EXPECT_THAT(foreign.error().text(), HasSubstr("vm1"));
  auto missing = make_vm(model(imds), {});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().text(), HasSubstr("not there"));
}

TEST(Registry, AddressesAndIdsNameOneMachine) {
  const auto vm_at = [](std::string_view vm_id, Ipv4Address address) {
    auto parsed = parse_model(model_text(R"({"enabled":true})", vm_id), "vm.json");
    EXPECT_TRUE(parsed);
    auto vm = make_vm(std::move(*parsed), {});
    EXPECT_TRUE(vm);
    vm->addresses = {address};
    return std::move(*vm);
  };
  constexpr std::string_view kOne = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";
  constexpr std::string_view kTwo = "6f9619ff-8b86-4d01-b42d-00cf4fc96402";
  VmRegistry registry;
  ASSERT_TRUE(registry.add(vm_at(kOne, {10, 0, 0, 1})));
  EXPECT_FALSE(registry.add(vm_at(kTwo, {10, 0, 0, 1})));
  EXPECT_FALSE(registry.add(vm_at(kOne, {10, 0, 0, 2})));
  ASSERT_TRUE(registry.add(vm_at(kTwo, {10, 0, 0, 2})));
  ASSERT_NE(registry.find({10, 0, 0, 2}), nullptr);
  EXPECT_EQ(registry.find({10, 0, 0, 2})->model.vm_id, kTwo);
  EXPECT_EQ(registry.find({10, 0, 0, 3}), nullptr);
  Vm homeless = vm_at("6f9619ff-8b86-4d01-b42d-00cf4fc96403", {10, 0, 0, 9});
  homeless.addresses.clear();
  EXPECT_FALSE(registry.add(std::move(homeless)));
}

TEST(Registry, AReplacedMachineHasUsedUpWhatItHad) {
  constexpr std::uint64_t kNow = 5'000'000'000;
  const auto vm_of = [](std::string_view settings) {
    auto vm = make_vm(model(settings), {});
    EXPECT_TRUE(vm);
    vm->addresses = {{10, 0, 0, 1}};
    return std::move(*vm);
  };
  VmRegistry registry;
  ASSERT_TRUE(registry.add(vm_of(R"({"enabled":true})")));
  Vm& vm = *registry.find({10, 0, 0, 1});
  ASSERT_EQ(vm.nonces.take(7, 1, 0, 600'000), NonceStreams::Use::kFirst);
  for (RateLimit* rate : {&vm.imds_rate, &vm.identity_rate, &vm.key_rate}) {
    ASSERT_EQ(rate->take(1, kNow), 0U);
  }
  registry.replace(vm, vm_of(R"({"enabled":true,"mode":"Audit","keyIncarnationId":1})"));
  EXPECT_EQ(vm.imds.mode, Mode::kAudit);
  EXPECT_EQ(vm.nonces.take(7, 1, 0, 600'000), NonceStreams::Use::kAgain) << "else a captured request is good again";
  for (RateLimit* rate : {&vm.imds_rate, &vm.identity_rate, &vm.key_rate}) {
    EXPECT_EQ(rate->take(1, kNow), 1U) << "else applying a model again gives a guest as much once more";
  }
}

TEST(Registry, AnAddressNamesOneMachineOfEachNetworkAndOneOfNone) {
  VmRegistry registry;
  const Ipv4Address here{10, 0, 0, 1};
  const auto add = [&](int number, std::string network) {
    Vm vm;
    vm.model.name = fmt::format("vm{}", number);
    vm.model.vm_id = std::to_string(number);
    vm.addresses = {here};
    vm.network = std::move(network);
    const auto added = registry.add(std::move(vm));
    return added ? std::string() : added.error().message;
  };
  const auto who = [&](std::string_view network) {
    const Vm* found = registry.find(here, network);
    return found == nullptr ? std::string("nobody") : found->model.name;
  };
  EXPECT_EQ(add(1, "br-a"), "");
  EXPECT_EQ(who("br-a"), "vm1");
  EXPECT_EQ(who("br-b"), "nobody");
  EXPECT_EQ(who(""), "nobody") << "by a listener of no interface only machines of no network are heard";
  EXPECT_EQ(add(2, "br-b"), "");
  EXPECT_EQ(add(3, ""), "");
  EXPECT_EQ(add(4, "br-b"), "10.0.0.1 at br-b is a source address of vm2 and of vm4");
  EXPECT_EQ(add(5, ""), "10.0.0.1 is a source address of vm3 and of vm5");
  EXPECT_EQ(who("br-a"), "vm1");
  EXPECT_EQ(who("br-b"), "vm2");
  EXPECT_EQ(who("br-c"), "vm3") << "who is of no network is heard in each where nobody else has the address";
  EXPECT_EQ(who(""), "vm3");

  Vm moved;
  moved.model = registry.find_by_id("2")->model;
  moved.addresses = {here};
  moved.network = "br-c";
  registry.replace(*registry.find_by_id("2"), std::move(moved));
  EXPECT_EQ(who("br-b"), "vm3");
  EXPECT_EQ(who("br-c"), "vm2");
  registry.remove(*registry.find_by_id("3"));
  EXPECT_EQ(who(""), "nobody");
  EXPECT_EQ(who("br-a"), "vm1");
}

TEST(Registry, LoadsTheExample) {
  auto config = load_config(MSP_SOURCE_DIR "/packaging/msp-host.example.json");
  ASSERT_TRUE(config);
  config->virtual_machines[0].source_addresses.clear();
  auto inventory = Inventory::load(*config);
  ASSERT_TRUE(inventory) << inventory.error().text();
  Vm* vm = (*inventory)->registry().find({10, 0, 0, 4});
  ASSERT_NE(vm, nullptr) << "the address of its network interface";
  EXPECT_EQ(vm->imds.mode, Mode::kEnforce);
  EXPECT_TRUE(vm->imds.rules);
}

}  // namespace
}  // namespace msp::gateway
