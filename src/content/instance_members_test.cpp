// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content/instance.h"

namespace msp::content {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::string_view kModel = R"({"openmsp":{"compute":{"azEnvironment":"LabCloud","physicalZone":"lab-az2",
    "placementGroupId":"g","platformSubFaultDomain":"3","isHostCompatibilityLayerVm":true,
    "storageProfile":{"resourceDisk":{"size":16777216}}}},
  "properties":{"customData":"secret","instanceView":{"platformUpdateDomain":4},"storageProfile":{"dataDisks":[
    {"lun":0,"openmsp":{"isSharedDisk":true}},{"lun":1,"openmsp":{"isSharedDisk":false}},{"lun":2}]}}})";

json::Value tree(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? std::move(*parsed) : json::Value();
}

std::vector<std::string> faults(std::string_view text) {
  json::Problems problems({}, "model");
  check_instance_members(tree(text), "", problems);
  std::vector<std::string> places;
  for (const json::Problem& problem : problems.list()) {
    places.push_back(problem.pointer);
  }
  return places;
}

TEST(InstanceMembers, WhatArmDoesNotSayTheModelCan) {
  EXPECT_THAT(faults(kModel), IsEmpty());
  const json::Value instance = make_instance_document(tree(kModel), "v");
  const std::pair<const char*, const char*> rows[] = {
      {"azEnvironment", "LabCloud"},
      {"customData", ""},
      {"isHostCompatibilityLayerVm", "true"},
      {"physicalZone", "lab-az2"},
      {"placementGroupId", "g"},
      {"platformSubFaultDomain", "3"},
      {"platformUpdateDomain", "4"},
      {"storageProfile/resourceDisk/size", "16777216"},
      {"storageProfile/dataDisks/0/isSharedDisk", "true"},
      {"storageProfile/dataDisks/1/isSharedDisk", "false"},
      {"storageProfile/dataDisks/2/isSharedDisk", "false"},
  };
  for (const auto& [leaf, wanted] : rows) {
    const json::Value* value = walk(instance, std::string("compute/") + leaf);
    ASSERT_TRUE(value != nullptr && value->is_string()) << leaf;
    EXPECT_EQ(*value->string(), wanted) << leaf;
  }
}

TEST(InstanceMembers, OursAreReadStrictly) {
  EXPECT_THAT(faults("{}"), IsEmpty());
  EXPECT_THAT(faults(R"({"openmsp":{"loadBalancer":{}},"properties":{"storageProfile":{"dataDisks":[{"x":1}]}}})"),
              IsEmpty());
  EXPECT_THAT(faults(R"({"openmsp":{"compute":null}})"), IsEmpty());
  EXPECT_THAT(faults(R"({"openmsp":null})"), IsEmpty());
  EXPECT_THAT(faults(R"({"openmsp":{"compute":[]}})"), ElementsAre("/openmsp/compute"));
  EXPECT_THAT(faults(R"({"openmsp":{"computer":{}}})"), ElementsAre("/openmsp/computer"));
  EXPECT_THAT(faults(R"({"openmsp":{"compute":{"azEnvironment":1,"azEnviroment":"x","isHostCompatibilityLayerVm":"no",
      "storageProfile":{"resourceDisk":{"size":"16"}}}}})"),
              testing::UnorderedElementsAre("/openmsp/compute/azEnvironment", "/openmsp/compute/azEnviroment",
                                            "/openmsp/compute/isHostCompatibilityLayerVm",
                                            "/openmsp/compute/storageProfile/resourceDisk/size"));
  EXPECT_THAT(faults(R"({"properties":{"storageProfile":{"dataDisks":[{},{"openmsp":{"isSharedDisk":"true"}}]}}})"),
              ElementsAre("/properties/storageProfile/dataDisks/1/openmsp/isSharedDisk"));
}

}  // namespace
}  // namespace msp::content
