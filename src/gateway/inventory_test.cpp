// SPDX-License-Identifier: Apache-2.0
// Changes of models while the host runs: applied whole or not at all, in memory and in a real store.
#include "gateway/inventory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/inventory_fixture.h"

namespace msp::gateway {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(InventoryTest, AMachineIsServedAtOnceAndAfterARestartAndIsShownAsItWasGiven) {
  const std::string text = machine(kVm1, "10.0.0.1", R"({"enabled":true,"keyIncarnationId":3})");
  good({text});
  for (int round = 0; round < 2; ++round) {
    Vm* found = inventory_->registry().find({10, 0, 0, 1});
    ASSERT_NE(found, nullptr) << round;
    EXPECT_EQ(found->imds.mode, Mode::kEnforce);
    EXPECT_EQ(found->model.proxy_agent.key_incarnation_id, 3U);
    EXPECT_EQ(inventory_->resources().at(kName1).text, text);
    open();
  }
  EXPECT_THAT(changed_, Contains(kVm1));
}

TEST_F(InventoryTest, AddressesAreTheModelsUnlessOthersAreGivenAndThoseStay) {
  const std::string text = machine(kVm1, "10.0.0.1", "{}");
  ASSERT_TRUE(inventory_->apply({{.text = text, .addresses = {{{10, 9, 0, 1}, {10, 9, 0, 2}}}}}, false).ok());
  good({text});
  open();
  EXPECT_EQ(inventory_->registry().find({10, 0, 0, 1}), nullptr);
  EXPECT_NE(inventory_->registry().find({10, 9, 0, 2}), nullptr);
  ASSERT_TRUE(inventory_->apply({{.text = text, .addresses = std::vector<Ipv4Address>()}}, false).ok());
  EXPECT_NE(inventory_->registry().find({10, 0, 0, 1}), nullptr);
  EXPECT_EQ(inventory_->registry().find({10, 9, 0, 2}), nullptr);
}

TEST_F(InventoryTest, MachinesOfSeveralNetworksMayHaveOneAddress) {
  config_.listeners = {{.interface = "br-a"}, {.interface = "br-b"}, {}};
  open();
  const std::string first = machine(kVm1, "10.0.0.1", "{}");
  const std::string second = machine(kVm2, "10.0.0.1", "{}");
  const auto at = [&](const std::string& text, std::string network) {
    auto outcome = inventory_->apply({{.text = text, .network = std::move(network)}}, false);
    EXPECT_TRUE(outcome);
    return faults(*outcome);
  };
  const auto who = [&](std::string_view network) {
    const Vm* found = inventory_->registry().find({10, 0, 0, 1}, network);
    return found == nullptr ? std::string("nobody") : found->model.name;
  };
  EXPECT_THAT(at(first, "br-a"), IsEmpty());
  EXPECT_THAT(at(second, "br-a"),
              ElementsAre(HasSubstr("/properties/networkProfile: 10.0.0.1 at br-a is a source address of vm-1")));
  EXPECT_THAT(at(second, "br-b"), IsEmpty());
  good({first, second});
  open();
  EXPECT_EQ(who("br-a") + who("br-b") + who(""), "vm-1vm-2nobody") << "networks stay, also over a restart";

  const auto swapped =
      inventory_->apply({{.text = first, .network = "br-b"}, {.text = second, .network = "br-a"}}, false);
  ASSERT_TRUE(swapped);
  EXPECT_THAT(differences(*swapped), ElementsAre("vm-1 network: br-a -> br-b", "vm-2 network: br-b -> br-a"));
  EXPECT_EQ(who("br-a") + who("br-b"), "vm-2vm-1");

  EXPECT_THAT(at(first, ""), IsEmpty());
  EXPECT_EQ(who("br-a") + who("br-b") + who(""), "vm-2vm-1vm-1");
  EXPECT_THAT(at(second, ""), ElementsAre(HasSubstr("10.0.0.1 is a source address of vm-1")));
}

TEST_F(InventoryTest, ANetworkIsTheInterfaceOfAListener) {
  config_.listeners = {{.interface = "br-a"}};
  open();
  const std::string text = machine(kVm1, "10.0.0.1", R"({"enabled":true})");
  const auto mistyped = inventory_->apply({{.text = text, .network = "br-x"}}, false);
  ASSERT_TRUE(mistyped);
  EXPECT_THAT(faults(*mistyped), ElementsAre(HasSubstr("no listener has the interface br-x")));
  ASSERT_TRUE(inventory_->apply({{.text = text, .network = "br-a"}}, false).ok());
  config_.listeners.clear();
  open();
  ASSERT_NE(vm(), nullptr) << "a listener that is gone keeps nobody from being known";
  EXPECT_EQ(inventory_->registry().find({10, 0, 0, 1}), nullptr);
  EXPECT_TRUE(inventory_->end_key(kName1, KeyEnd::kAtOnce)->faults.empty());
  EXPECT_EQ(vm()->network, "br-a");
}

TEST_F(InventoryTest, AMachineThatAProfileChangesStaysInItsNetwork) {
  config_.listeners = {{.interface = "br-a"}};
  open();
  good({version()});
  ASSERT_TRUE(inventory_->apply({{.text = machine(kVm1, "10.0.0.1", referring()), .network = "br-a"}}, false).ok());
  good({version(R"("mode":"Audit","defaultAccess":"Allow")")});
  EXPECT_EQ(vm()->imds.mode, Mode::kAudit);
  EXPECT_EQ(vm()->network, "br-a");
  EXPECT_EQ(inventory_->registry().find({10, 0, 0, 1}, "br-a"), vm());
}

TEST_F(InventoryTest, AnIdThatAMachineHasNoMoreIsFree) {
  const auto named = [](const std::string& vm_id, std::string_view address, std::string_view id) {
    return machine(vm_id, address, "{}").insert(1, fmt::format(R"("id":"/s/virtualMachines/{}",)", id));
  };
  good({named(kVm1, "10.0.0.1", "Old")});
  EXPECT_EQ(inventory_->find(Listing::kMachines, "/S/virtualMachines/old").size(), 1U);
  good({named(kVm1, "10.0.0.1", "New")});
  EXPECT_THAT(inventory_->find(Listing::kMachines, "/s/virtualMachines/Old"), IsEmpty());
  EXPECT_EQ(inventory_->find(Listing::kMachines, "/s/virtualMachines/New").size(), 1U);
  good({named(kVm2, "10.0.0.2", "Old")});
  EXPECT_THAT(faults(apply({named(kVm2, "10.0.0.2", "new")})), ElementsAre(HasSubstr("has this id")));
}

TEST_F(InventoryTest, TwoMachinesMayExchangeTheirAddressesInOneChange) {
  good({machine(kVm1, "10.0.0.1", "{}"), machine(kVm2, "10.0.0.2", "{}")});
  EXPECT_FALSE(apply({machine(kVm1, "10.0.0.2", "{}")}).faults.empty());
  good({machine(kVm1, "10.0.0.2", "{}"), machine(kVm2, "10.0.0.1", "{}")});
  EXPECT_EQ(inventory_->registry().find({10, 0, 0, 1})->model.vm_id, kVm2);
  EXPECT_EQ(inventory_->registry().find({10, 0, 0, 2})->model.vm_id, kVm1);
}

TEST_F(InventoryTest, WhoIsOnlyMadeAnewInAChangeKeepsItsAddress) {
  good({version(), machine(kVm1, "10.0.0.1", referring())});
  EXPECT_THAT(faults(apply({version(R"("mode":"Audit","defaultAccess":"Deny")"), machine(kVm2, "10.0.0.1", "{}")})),
              ElementsAre(HasSubstr("10.0.0.1 is a source address of vm-1")));
  EXPECT_EQ(inventory_->registry().find({10, 0, 0, 1})->model.vm_id, kVm1);
}

TEST_F(InventoryTest, WhatCannotBeAppliedWholeIsRefusedWithEveryFaultAndChangesNothing) {
  good({version(), machine(kVm1, "10.0.0.1", referring("P", 5))});
  const std::string guid = latch();
  const std::string before = inventory_->resources().at(kName1).text;
  changed_.clear();
  const auto outcome = apply({machine(kVm2, "10.0.0.1", referring("Q")), machine(kVm1, "10.0.0.1", referring("P", 4)),
                              version(R"("mode":"On","defaultAccess":"Maybe")"), profile("WireServer"), "{",
                              R"({"type":"Microsoft.Compute/disks","name":"d"})", R"({"name":"x","properties":{}})"});
  const auto lines = faults(outcome);
  EXPECT_THAT(lines, Contains(HasSubstr("0 /properties/securityProfile/proxyAgentSettings/imds/"
                                        "inVMAccessControlProfileReferenceId: the profile version")));
  EXPECT_THAT(lines, Contains(HasSubstr("10.0.0.1 is a source address of vm-1")));
  EXPECT_THAT(lines, Contains("1 /properties/securityProfile/proxyAgentSettings/keyIncarnationId: 4 is lower than "
                              "before (5)"));
  EXPECT_THAT(lines, Contains(HasSubstr("2 /properties/mode")));
  EXPECT_THAT(lines, Contains(HasSubstr("2 /properties/defaultAccess")));
  EXPECT_THAT(lines, Contains(HasSubstr("is for wireserver"))) << "the machine refers to it from imds";
  EXPECT_THAT(lines, Contains(HasSubstr("4 : line 1")));
  EXPECT_THAT(lines, Contains(HasSubstr("5 /type")));
  EXPECT_THAT(lines, Contains(HasSubstr("6 /properties/vmId: is missing")));
  EXPECT_EQ(inventory_->resources().size(), 2U);
  EXPECT_EQ(inventory_->resources().at(kName1).text, before);
  EXPECT_EQ(vm()->latched->guid, guid);
  EXPECT_EQ(vm(kVm2), nullptr);
  EXPECT_THAT(changed_, IsEmpty());
  open();
  EXPECT_EQ(vm()->latched->guid, guid);
  EXPECT_EQ(inventory_->resources().size(), 2U);
}

TEST_F(InventoryTest, AProfileChangesEveryMachineThatRefersToIt) {
  good({version(), machine(kVm1, "10.0.0.1", referring()), machine(kVm2, "10.0.0.2", R"({"enabled":true})")});
  const std::string id = vm()->imds.rule_id;
  EXPECT_FALSE(vm()->imds.default_allow);
  changed_.clear();
  good({version(R"("mode":"Audit","defaultAccess":"Allow")")});
  EXPECT_THAT(changed_, ElementsAre(kVm1));
  EXPECT_TRUE(vm()->imds.default_allow);
  EXPECT_EQ(vm()->imds.mode, Mode::kAudit);
  EXPECT_NE(vm()->imds.rule_id, id) << "an agent of the field looks at the id only";
  const std::string changed_id = vm()->imds.rule_id;
  open();
  EXPECT_EQ(vm()->imds.rule_id, changed_id);
}

TEST_F(InventoryTest, AProfileThatWouldNotFitAMachineIsRefused) {
  good({version(), machine(kVm1, "10.0.0.1", referring())});
  EXPECT_THAT(faults(apply({profile("WireServer")})), ElementsAre(HasSubstr("virtual machine vm-1")));
  good({profile("IMDS")});
}

TEST_F(InventoryTest, WhatIsReferredToIsNotDeletedAndWhoRefersIsNamed) {
  good({profile("IMDS"), version(), machine(kVm1, "10.0.0.1", referring())});
  const auto remove = [&](ResourceKind kind, const std::string& key) {
    auto outcome = inventory_->remove({.kind = kind, .key = ascii_lower(key)});
    EXPECT_TRUE(outcome);
    return faults(*outcome);
  };
  const std::string parent = std::string(kGallery) + "/inVMAccessControlProfiles/P";
  EXPECT_THAT(remove(ResourceKind::kProfileVersion, version_id()), ElementsAre(HasSubstr("vm-1")));
  EXPECT_THAT(remove(ResourceKind::kProfile, parent), ElementsAre(HasSubstr("versions/1.0.0")));
  EXPECT_THAT(remove(ResourceKind::kVirtualMachine, kVm1), IsEmpty());
  EXPECT_THAT(remove(ResourceKind::kProfileVersion, version_id()), IsEmpty());
  EXPECT_THAT(remove(ResourceKind::kProfile, parent), IsEmpty());
  EXPECT_FALSE(remove(ResourceKind::kProfile, parent).empty());
  open();
  EXPECT_TRUE(inventory_->resources().empty());
}

TEST_F(InventoryTest, ADeletedMachineIsAStrangerItsKeyIsDeadAndItsIncarnationCannotFall) {
  good({machine(kVm1, "10.0.0.1", R"({"enabled":true,"keyIncarnationId":2})")});
  const std::string guid = latch();
  ASSERT_NE(keys_->find(guid), nullptr);
  ASSERT_TRUE(inventory_->remove(kName1).ok());
  EXPECT_EQ(inventory_->registry().find({10, 0, 0, 1}), nullptr);
  EXPECT_EQ(keys_->find(guid), nullptr);
  EXPECT_FALSE(apply({machine(kVm1, "10.0.0.1", R"({"enabled":true,"keyIncarnationId":1})")}).faults.empty());
  good({machine(kVm1, "10.0.0.1", R"({"enabled":true,"keyIncarnationId":2})")});
  EXPECT_EQ(vm()->latched, nullptr);
  open();
  EXPECT_EQ(keys_->find(guid), nullptr);
}

TEST_F(InventoryTest, ResettingTheKeyRaisesTheIncarnationAndLeavesEveryOtherByte) {
  const std::string text = machine(kVm1, "10.0.0.1", R"({"enabled":true, "keyIncarnationId" : 9 ,"x":1})");
  good({text});
  const std::string guid = latch();
  auto reset = inventory_->end_key(kName1, KeyEnd::kAtOnce);
  ASSERT_TRUE(reset);
  EXPECT_THAT(differences(*reset), ElementsAre("vm-1 keyIncarnationId: 9 -> 10"));
  EXPECT_EQ(keys_->find(guid), nullptr);
  EXPECT_EQ(vm()->latched, nullptr);
  std::string expected = text;
  expected.replace(expected.find(": 9 "), 4, ": 10 ");
  EXPECT_EQ(inventory_->resources().at(kName1).text, expected);
  latch();
  good({machine(kVm2, "10.0.0.2", "{}")});
  ASSERT_TRUE(inventory_->end_key({.kind = ResourceKind::kVirtualMachine, .key = kVm2}, KeyEnd::kAtOnce).ok());
  EXPECT_EQ(vm(kVm2)->model.proxy_agent.key_incarnation_id, 1U);
}

TEST_F(InventoryTest, ARotationKeepsTheKeyUntilAnotherIsLatchedAndNoSecondOneComesMeanwhile) {
  good({machine(kVm1, "10.0.0.1", R"({"enabled":true,"keyIncarnationId":1})")});
  const std::string guid = latch();
  auto rotated = inventory_->end_key(kName1, KeyEnd::kOnceReplaced);
  ASSERT_TRUE(rotated);
  EXPECT_THAT(differences(*rotated), ElementsAre("vm-1 keyIncarnationId: 1 -> 2"));
  EXPECT_EQ(vm()->latched, nullptr);
  ASSERT_NE(inventory_->outgoing(*vm()), nullptr);
  EXPECT_EQ(inventory_->outgoing(*vm())->guid, guid);
  auto again = inventory_->end_key(kName1, KeyEnd::kOnceReplaced);
  ASSERT_TRUE(again);
  EXPECT_THAT(faults(*again), ElementsAre(HasSubstr("the key of vm-1 is being rotated")));
  EXPECT_EQ(vm()->model.proxy_agent.key_incarnation_id, 2U);

  good({machine(kVm1, "10.0.0.9", R"({"enabled":true,"keyIncarnationId":2})")});
  EXPECT_NE(inventory_->outgoing(*vm()), nullptr) << "other changes of the model leave it";
  latch();
  clock_.advance_ms(kOnItsWayMs);
  EXPECT_EQ(inventory_->outgoing(*vm()), nullptr);
  EXPECT_THAT(faults(*inventory_->end_key(kName1, KeyEnd::kOnceReplaced)), IsEmpty());
  ASSERT_NE(inventory_->outgoing(*vm()), nullptr);
  good({machine(kVm1, "10.0.0.9", R"({"enabled":true,"keyIncarnationId":4})")});
  EXPECT_EQ(inventory_->outgoing(*vm()), nullptr) << "a model that raises it ends every key at once";

  latch();
  ASSERT_TRUE(inventory_->end_key(kName1, KeyEnd::kOnceReplaced));
  const std::string outgoing = vm()->outgoing->guid;
  ASSERT_TRUE(inventory_->remove(kName1).ok());
  EXPECT_EQ(keys_->find(outgoing), nullptr);
}

TEST_F(InventoryTest, AnAddressThatNoMachineSendsFromIsRefusedAndOneThatIsNamedTwiceIsSaidSo) {
  for (const char* address :
       {"0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "240.0.0.1", "169.254.169.254", "168.63.129.16"}) {
    EXPECT_THAT(faults(apply({machine(kVm1, address, "{}")})),
                ElementsAre(HasSubstr(fmt::format("{} is no source address", address))));
  }
  good({machine(kVm1, "169.254.0.4", "{}"), machine(kVm2, "223.255.255.254", "{}")});
  const Ipv4Address twice{10, 0, 0, 7};
  auto outcome = inventory_->apply({{.text = machine(kVm1, "10.0.0.1", "{}"), .addresses = {{twice, twice}}}}, false);
  ASSERT_TRUE(outcome);
  EXPECT_THAT(faults(*outcome), ElementsAre(HasSubstr("10.0.0.7 is named twice")));
}

TEST_F(InventoryTest, ADryRunSaysWhatWouldChangeAndChangesNothing) {
  good({version(), machine(kVm1, "10.0.0.1", referring())});
  const auto outcome = apply(
      {version(
          R"("mode":"Audit","defaultAccess":"Deny","rules":{"privileges":[{"name":"token","path":"/t"}],"roles":[],"identities":[],"roleAssignments":[]})")},
      true);
  EXPECT_THAT(differences(outcome), Contains("vm-1 imds.mode: enforce -> audit"));
  EXPECT_THAT(differences(outcome),
              Contains("vm-1 imds.rules.privileges.token:  -> {\"name\":\"token\",\"path\":\"/t\"}"));
  EXPECT_EQ(vm()->imds.mode, Mode::kEnforce);
  EXPECT_THAT(differences(apply({version()}, true)), IsEmpty());
}

TEST_F(InventoryTest, AFileWins) {
  good({machine(kVm1, "10.0.0.1", R"({"enabled":true})")});
  write("vm.json", machine(kVm1, "10.0.0.7", R"({"enabled":false})"));
  config_.virtual_machines = {{.model = directory_ + "/vm.json", .source_addresses = {}}};
  open();
  EXPECT_NE(inventory_->registry().find({10, 0, 0, 7}), nullptr);
  EXPECT_EQ(inventory_->resources().at(kName1).file, directory_ + "/vm.json");
  EXPECT_THAT(faults(apply({machine(kVm1, "10.0.0.1", "{}")})), ElementsAre(HasSubstr("comes from the file")));
  auto removed = inventory_->remove(kName1);
  ASSERT_TRUE(removed);
  EXPECT_THAT(faults(*removed), ElementsAre(HasSubstr("comes from the file")));
  auto reset = inventory_->end_key(kName1, KeyEnd::kAtOnce);
  ASSERT_TRUE(reset);
  EXPECT_FALSE(reset->faults.empty());
  config_.virtual_machines.clear();
  open();
  EXPECT_TRUE(inventory_->resources().empty()) << "the file took its place";
}

TEST_F(InventoryTest, FilesThatDoNotFitToWhatWasAppliedRefuseTheStart) {
  good({machine(kVm1, "10.0.0.1", "{}")});
  write("vm.json", machine(kVm2, "10.0.0.1", "{}"));
  config_.virtual_machines = {{.model = directory_ + "/vm.json", .source_addresses = {}}};
  EXPECT_THAT(try_open(), HasSubstr("10.0.0.1 is a source address of vm-2"));
  config_.virtual_machines.clear();
  open();
  EXPECT_NE(vm(), nullptr);
}

TEST_F(InventoryTest, OnTrialNothingThatWasAppliedIsLost) {
  good({machine(kVm1, "10.0.0.1", "{}")});
  write("vm.json", machine(kVm1, "10.0.0.1", "{}"));
  config_.virtual_machines = {{.model = directory_ + "/vm.json", .source_addresses = {}}};
  const auto stored = [&] {
    const auto resources = store_->resources();
    return resources ? resources->size() : 99;
  };
  ASSERT_EQ(stored(), 1U);
  auto trial = Inventory::load(config_);
  ASSERT_TRUE(trial);
  EXPECT_TRUE((*trial)->open(*store_, Inventory::Opening::kOnTrial));
  EXPECT_EQ(stored(), 1U) << "what refuses the start comes later, and then nothing may have changed";
}

TEST_F(InventoryTest, TwoFilesWithOneIdRefuseTheStart) {
  const auto with_id = [](std::string text) { return text.insert(1, R"("id":"/s/virtualMachines/one",)"); };
  write("one.json", with_id(machine(kVm1, "10.0.0.1", "{}")));
  write("two.json", with_id(machine(kVm2, "10.0.0.2", "{}")));
  config_.virtual_machines = {{.model = directory_ + "/one.json", .source_addresses = {}},
                              {.model = directory_ + "/two.json", .source_addresses = {}}};
  EXPECT_THAT(try_open(), HasSubstr("another machine has the id"));
}

TEST_F(InventoryTest, AMachineThatComesBackHasTheKeyThatItHad) {
  write("vm.json", machine(kVm1, "10.0.0.1", R"({"enabled":true})"));
  config_.virtual_machines = {{.model = directory_ + "/vm.json", .source_addresses = {}}};
  open();
  const std::string guid = latch();
  config_.virtual_machines.clear();
  open();
  EXPECT_EQ(keys_->find(guid), nullptr);
  good({machine(kVm1, "10.0.0.1", R"({"enabled":true})")});
  ASSERT_NE(vm()->latched, nullptr);
  EXPECT_EQ(vm()->latched->guid, guid);
}

TEST_F(InventoryTest, ResourcesAreFoundByWhatPeopleCallThem) {
  good({version(), machine(kVm1, "10.0.0.1", "{}")});
  EXPECT_EQ(inventory_->find(Listing::kMachines, "VM-1").size(), 1U);
  EXPECT_EQ(inventory_->find(Listing::kMachines, ascii_upper(kVm1)).size(), 1U);
  EXPECT_EQ(inventory_->find(Listing::kProfiles, ascii_upper(version_id())).size(), 1U);
  EXPECT_EQ(inventory_->find(Listing::kProfiles, "p/1.0.0").size(), 1U);
  EXPECT_THAT(inventory_->find(Listing::kProfiles, "p"), IsEmpty());
  EXPECT_THAT(inventory_->find(Listing::kMachines, "vm-9"), IsEmpty());
}

TEST_F(InventoryTest, ATemplateIsNoResource) {
  EXPECT_THAT(faults(apply({R"({"$schema":"https://schema.management.azure.com/x.json#","resources":[]})"})),
              ElementsAre(HasSubstr("is a template")));
}

TEST_F(InventoryTest, AnAddressGoesToAMachineThatComes) {
  const std::string settings = R"({"enabled":true})";
  // In both orders of their ids.
  for (const auto& [stays, comes] : {std::pair(kVm1, kVm2), std::pair(kVm2, kVm1)}) {
    good({machine(stays, "10.0.0.1", settings)});
    good({machine(stays, "10.0.0.2", settings), machine(comes, "10.0.0.1", settings)});
    const auto at = [&](std::uint8_t last) { return inventory_->registry().find({10, 0, 0, last}); };
    ASSERT_NE(at(1), nullptr) << comes;
    EXPECT_EQ(at(1)->model.vm_id, comes);
    EXPECT_EQ(at(2)->model.vm_id, stays);
    EXPECT_THAT(faults(apply({machine("6f9619ff-8b86-4d01-b42d-00cf4fc96403", "10.0.0.1", settings)})),
                Contains(HasSubstr("is a source address of")));
    open();
    EXPECT_EQ(inventory_->registry().all().size(), 2U) << "as after a restart";
    for (const std::string& vm_id : {stays, comes}) {
      ASSERT_TRUE(inventory_->remove({.kind = ResourceKind::kVirtualMachine, .key = vm_id}));
    }
  }
}

TEST_F(InventoryTest, ACertificateThatIsGoneKeepsNobodyFromStarting) {
  const std::string pem = directory_ + "/certificates";
  config_.certificate_directory = pem;
  std::filesystem::create_directory(pem);
  const std::string text = with_certificate(machine(kVm1, "10.0.0.1", R"({"enabled":true})"));
  EXPECT_THAT(faults(apply({text})), Contains(HasSubstr("/certificateUrl"))) << "a new one is refused";
  ModelChange change;
  change.put.push_back({.name = kName1, .text = text, .addresses = "10.0.0.1"});
  ASSERT_TRUE(store_->change(change));
  open();
  ASSERT_EQ(inventory_->registry().all().size(), 1U);
  EXPECT_EQ(inventory_->registry().all()[0]->imds.mode, Mode::kEnforce);
}

}  // namespace
}  // namespace msp::gateway
