// SPDX-License-Identifier: Apache-2.0
// Scale sets and their instances in the inventory, and what is misplaced in a resource of any kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gateway/inventory_fixture.h"

namespace msp::gateway {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kSetId = "/subscriptions/S/providers/Microsoft.Compute/virtualMachineScaleSets/web";
const ResourceName kSet{.kind = ResourceKind::kScaleSet,
                        .key = "/subscriptions/s/providers/microsoft.compute/virtualmachinescalesets/web"};

std::string scale_set(std::string_view settings) {
  return fmt::format(
      R"({{"name":"web","id":"{}","odd":[1.50],"properties":{{"virtualMachineProfile":{{"securityProfile":{{
      "proxyAgentSettings":{}}}}}}}}})",
      kSetId, settings);
}
std::string instance(const std::string& vm_id, std::string_view address, std::string_view settings = "{}") {
  std::string text = machine(vm_id, address, settings);
  return text.insert(1, fmt::format(R"("id":"{}/virtualMachines/{}",)", kSetId, vm_id.back()));
}

TEST_F(InventoryTest, InstancesFollowTheirSet) {
  good({scale_set(R"({"enabled":true,"keyIncarnationId":1})"), instance(kVm1, "10.0.0.4"),
        instance(kVm2, "10.0.0.5", R"({"enabled":false,"keyIncarnationId":3})")});
  const auto incarnation = [&](const std::string& vm_id) {
    return inventory_->registry().find_by_id(vm_id)->model.proxy_agent.key_incarnation_id;
  };
  EXPECT_TRUE(inventory_->registry().find_by_id(kVm2)->model.proxy_agent.enabled) << "whatever it says itself";
  EXPECT_EQ(incarnation(kVm1), 1U);
  EXPECT_EQ(incarnation(kVm2), 3U);

  EXPECT_THAT(faults(apply({scale_set(R"({"enabled":true,"keyIncarnationId":3})")})),
              ElementsAre(HasSubstr("/keyIncarnationId: the instance vm-2 has 3 already")));
  EXPECT_THAT(faults(apply({scale_set(referring())})), ElementsAre(HasSubstr("is not there")));
  good({version(), scale_set(referring())});
  EXPECT_THAT(inventory_->referrers({.kind = ResourceKind::kProfileVersion, .key = ascii_lower(version_id())}),
              testing::SizeIs(3));
  EXPECT_THAT(differences(apply({version(R"("mode":"Audit","defaultAccess":"Deny")")}, true)), testing::SizeIs(2))
      << "an allowlist reaches the instances of a set that refers to it";

  changed_.clear();
  ASSERT_TRUE(inventory_->end_key(kName1, KeyEnd::kAtOnce));
  EXPECT_EQ(incarnation(kVm1), 2U);
  EXPECT_THAT(changed_, ElementsAre(kVm1));
  ASSERT_TRUE(inventory_->end_key(kSet, KeyEnd::kAtOnce));
  EXPECT_EQ(incarnation(kVm1), 4U);
  EXPECT_EQ(incarnation(kVm2), 4U);
  EXPECT_THAT(faults(apply({scale_set(R"({"enabled":true,"keyIncarnationId":2})")})),
              Contains(HasSubstr("is lower than before")));
  latch();
  ASSERT_TRUE(inventory_->end_key(kSet, KeyEnd::kOnceReplaced));
  EXPECT_NE(inventory_->outgoing(*vm()), nullptr);
  EXPECT_EQ(inventory_->outgoing(*vm(kVm2)), nullptr) << "it had none";
  EXPECT_THAT(faults(*inventory_->end_key(kSet, KeyEnd::kOnceReplaced)),
              ElementsAre(HasSubstr("the key of vm-1 is being rotated")));
  EXPECT_EQ(incarnation(kVm1), 5U);
  open();
  EXPECT_EQ(incarnation(kVm1), 5U);
  EXPECT_THAT(inventory_->resources().at(kSet).text, HasSubstr("[1.50]"));

  auto removed = inventory_->remove(kSet);
  ASSERT_TRUE(removed);
  EXPECT_THAT(removed->resources, testing::SizeIs(3));
  EXPECT_THAT(inventory_->registry().all(), IsEmpty());
  open();
  EXPECT_THAT(inventory_->resources(), testing::SizeIs(1)) << "the version stays";
}

TEST_F(InventoryTest, AnInstanceStandsForItselfUntilItsSetIsThere) {
  good({instance(kVm1, "10.0.0.4", R"({"enabled":true,"mode":"Audit"})")});
  EXPECT_TRUE(inventory_->registry().find_by_id(kVm1)->model.proxy_agent.enabled);
  const ChangeOutcome outcome = apply({scale_set(R"({"enabled":false})")});
  EXPECT_THAT(outcome.guests, testing::SizeIs(1));
  EXPECT_FALSE(inventory_->registry().find_by_id(kVm1)->model.proxy_agent.enabled);
}

TEST_F(InventoryTest, AnInstanceThatSaysNothingNeedsItsSet) {
  EXPECT_THAT(faults(apply({instance(kVm1, "10.0.0.4")})),
              ElementsAre(AllOf(HasSubstr("/proxyAgentSettings/enabled: is missing, and the scale set "),
                                HasSubstr("virtualmachinescalesets/web is not there"))));
  good({instance(kVm1, "10.0.0.4"), scale_set(R"({"enabled":true})")});
  EXPECT_TRUE(inventory_->registry().find_by_id(kVm1)->model.proxy_agent.enabled);
  std::string mistyped = instance(kVm2, "10.0.0.5");
  mistyped.replace(mistyped.find("/web/"), 5, "/wbe/");
  EXPECT_THAT(faults(apply({mistyped})), ElementsAre(HasSubstr("virtualmachinescalesets/wbe is not there")));
}

TEST_F(InventoryTest, AScaleSetWithoutANameHasNoInstances) {
  std::string nameless = scale_set(R"({"enabled":true})");
  nameless.replace(nameless.find(kSetId), kSetId.size(), "");
  nameless.insert(1, R"("type":"Microsoft.Compute/virtualMachineScaleSets",)");
  good({machine(kVm1, "10.0.0.4", R"({"enabled":true})")});
  EXPECT_THAT(faults(apply({nameless})), ElementsAre(HasSubstr("/id: is not that of a scale set")));
  ASSERT_TRUE(inventory_->apply({{.text = nameless, .as_before = true}}, false)->faults.empty());
  const auto removed = inventory_->remove({.kind = ResourceKind::kScaleSet, .key = ""});
  ASSERT_TRUE(removed);
  EXPECT_THAT(removed->resources, testing::SizeIs(1)) << "the set alone";
  EXPECT_NE(vm(), nullptr);
}

TEST_F(InventoryTest, WhatIsMisplacedIsRefusedButServedIfItWasAppliedBefore) {
  std::string outside = machine(kVm1, "10.0.0.1", R"({"keyIncarnationId":1})");
  outside.insert(1, R"("securityProfile":{"proxyAgentSettings":{"enabled":true}},)");
  EXPECT_THAT(faults(apply({outside})), ElementsAre(HasSubstr("/securityProfile: is not read here: put it at")));
  EXPECT_THAT(faults(apply({machine(kVm1, "10.0.0.1", R"({"mode":"Enforce"})")})),
              ElementsAre(HasSubstr("/proxyAgentSettings/enabled: is missing")));
  EXPECT_THAT(faults(apply({scale_set(R"({"enable":true})")})), ElementsAre(HasSubstr("write enabled")));
  EXPECT_THAT(faults(apply({version(R"("defaultAccess":"Allow","rule":{})")})), ElementsAre(HasSubstr("write rules")));
  std::string slipped = instance(kVm1, "10.0.0.4");
  slipped.insert(slipped.find("/virtualMachines/"), "/");
  EXPECT_THAT(faults(apply({slipped})), ElementsAre(HasSubstr("/id: is not that of an instance")));

  ASSERT_TRUE(inventory_->apply({{.text = outside, .as_before = true}}, false)->faults.empty());
  EXPECT_EQ(try_open(), "");
  ASSERT_NE(vm(), nullptr) << "a host that is newer than what was applied starts";
  EXPECT_TRUE(inventory_->end_key(kName1, KeyEnd::kAtOnce)->faults.empty());
}

}  // namespace
}  // namespace msp::gateway
