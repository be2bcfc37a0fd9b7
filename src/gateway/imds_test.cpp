// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content/instance.h"
#include "gateway/inventory.h"
#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using test::ParsedRequest;
using test::RequestText;
using testing::HasSubstr;

class ImdsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto config = load_config(MSP_SOURCE_DIR "/packaging/msp-host.example.json");
    ASSERT_TRUE(config);
    auto inventory = Inventory::load(*config);
    ASSERT_TRUE(inventory) << inventory.error().text();
    inventory_ = std::move(*inventory);
  }
  Answer ask(std::string target, test::HeaderLines headers = {{"Metadata", "true"}}, std::string method = "GET") {
    RequestText text;
    text.method = std::move(method);
    text.target = std::move(target);
    text.headers = std::move(headers);
    text.header("host", "169.254.169.254");
    const ParsedRequest parsed(text);
    GuestState state(0);
    return answer_imds({.vm = *inventory_->registry().find({10, 0, 0, 4}),
                        .request = parsed.request(),
                        .state = state,
                        .signers = {},
                        .now_ns = 0});
  }
  static json::Value body_of(const Answer& answer) {
    auto tree = json::parse(answer.response.body());
    EXPECT_TRUE(tree) << answer.response.body();
    return tree ? std::move(*tree) : json::Value{};
  }
  static std::string text_at(const json::Value& tree, std::string_view pointer) {
    const json::Value* value = tree.at(pointer);
    EXPECT_TRUE(value != nullptr && value->is_string()) << pointer;
    return value != nullptr && value->is_string() ? *value->string() : "?";
  }
  std::unique_ptr<Inventory> inventory_;
};

TEST_F(ImdsTest, TellsAboutTheMachine) {
  const Answer answer = ask("/metadata/instance?api-version=2021-02-01");
  ASSERT_EQ(answer.response.status(), 200) << answer.response.body();
  EXPECT_THAT(answer.response.header_lines(), HasSubstr("application/json"));
  const json::Value tree = body_of(answer);
  const std::pair<const char*, const char*> rows[] = {
      {"/compute/name", "vm01"},
      {"/compute/vmId", "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"},
      {"/compute/location", "lab-1"},
      {"/compute/zone", "1"},
      {"/compute/vmSize", "Standard_D2s_v5"},
      {"/compute/subscriptionId", "11111111-2222-3333-4444-555555555555"},
      {"/compute/resourceGroupName", "lab"},
      {"/compute/tags", "environment:lab;owner:platform"},
      {"/compute/tagsList/1/name", "owner"},
      {"/compute/offer", "debian-12"},
      {"/compute/osType", "Linux"},
      {"/compute/osProfile/computerName", "vm01"},
      {"/compute/osProfile/disablePasswordAuthentication", "true"},
      {"/compute/storageProfile/osDisk/diskSizeGB", "30"},
      {"/compute/storageProfile/osDisk/managedDisk/storageAccountType", "Premium_LRS"},
      {"/compute/licenseType", ""},
      {"/network/interface/0/macAddress", "000D3A123456"},
      {"/network/interface/0/ipv4/ipAddress/0/privateIpAddress", "10.0.0.4"},
      {"/network/interface/0/ipv4/subnet/0/address", "10.0.0.0"},
      {"/network/interface/0/ipv4/subnet/0/prefix", "24"},
  };
  for (const auto& [pointer, value] : rows) {
    EXPECT_EQ(text_at(tree, pointer), value) << pointer;
  }
}

TEST(Instance, HasEverySectionAndLeafOfTheContract) {
  const auto model = json::parse(R"({"properties":{"storageProfile":{"dataDisks":[{"lun":1,"diskSizeGB":2,
    "managedDisk":{"storageAccountType":"UltraSSD_LRS"},"diskIOPSReadWrite":500,"diskMBpsReadWrite":3}]},
    "networkProfile":{"networkInterfaces":[{"properties":{"ipConfigurations":[
      {"properties":{"privateIPAddress":"10.0.0.4","publicIPAddress":{"properties":{"ipAddress":"1.2.3.4"}}}},
      {"properties":{"privateIPAddress":"fd00::4"}}]}}]}}})");
  ASSERT_TRUE(model);
  const json::Value tree = content::make_instance_document(*model, "v");
  for (const char* leaf : {"additionalCapabilities/hibernationEnabled",
                           "azEnvironment",
                           "customData",
                           "evictionPolicy",
                           "extendedLocation/name",
                           "extendedLocation/type",
                           "host/id",
                           "hostGroup/id",
                           "isHostCompatibilityLayerVm",
                           "licenseType",
                           "location",
                           "name",
                           "offer",
                           "osProfile/adminUsername",
                           "osProfile/computerName",
                           "osProfile/disablePasswordAuthentication",
                           "osType",
                           "physicalZone",
                           "placementGroupId",
                           "plan/name",
                           "plan/product",
                           "plan/publisher",
                           "platformFaultDomain",
                           "platformSubFaultDomain",
                           "platformUpdateDomain",
                           "priority",
                           "provider",
                           "publisher",
                           "resourceGroupName",
                           "resourceId",
                           "securityProfile/encryptionAtHost",
                           "securityProfile/secureBootEnabled",
                           "securityProfile/securityType",
                           "securityProfile/virtualTpmEnabled",
                           "sku",
                           "storageProfile/imageReference/communityGalleryImageId",
                           "storageProfile/imageReference/exactVersion",
                           "storageProfile/imageReference/id",
                           "storageProfile/imageReference/sharedGalleryImageId",
                           "storageProfile/osDisk/caching",
                           "storageProfile/osDisk/diffDiskSettings/option",
                           "storageProfile/osDisk/encryptionSettings/enabled",
                           "storageProfile/osDisk/encryptionSettings/diskEncryptionKey/sourceVault/id",
                           "storageProfile/osDisk/encryptionSettings/keyEncryptionKey/keyUrl",
                           "storageProfile/osDisk/image/uri",
                           "storageProfile/osDisk/managedDisk/id",
                           "storageProfile/osDisk/vhd/uri",
                           "storageProfile/osDisk/writeAcceleratorEnabled",
                           "storageProfile/resourceDisk/size",
                           "subscriptionId",
                           "tags",
                           "userData",
                           "version",
                           "virtualMachineScaleSet/id",
                           "vmId",
                           "vmScaleSetName",
                           "vmSize",
                           "zone"}) {
    const json::Value* value = content::walk(tree, std::string("compute/") + leaf);
    EXPECT_TRUE(value != nullptr && value->is_string()) << leaf;
  }
  const std::pair<const char*, const char*> rows[] = {
      {"compute/storageProfile/dataDisks/0/lun", "1"},
      {"compute/storageProfile/dataDisks/0/diskCapacityBytes", "2147483648"},
      {"compute/storageProfile/dataDisks/0/isUltraDisk", "true"},
      {"compute/storageProfile/dataDisks/0/isSharedDisk", "false"},
      {"compute/storageProfile/dataDisks/0/opsPerSecondThrottle", "500"},
      {"compute/storageProfile/dataDisks/0/bytesPerSecondThrottle", "3000000"},
      {"network/interface/0/ipv4/ipAddress/0/publicIpAddress", "1.2.3.4"},
      {"network/interface/0/ipv6/ipAddress/0/privateIpAddress", "fd00::4"},
  };
  for (const auto& [path, wanted] : rows) {
    const json::Value* value = content::walk(tree, path);
    ASSERT_TRUE(value != nullptr && value->is_string()) << path;
    EXPECT_EQ(*value->string(), wanted) << path;
  }
}

TEST(Instance, AMemberOfOursThatIsNotKnownRefusesTheModel) {
  auto model = parse_model(R"({"name":"vm","openmsp":{"compute":{"azEnviroment":"x"}},
      "properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc964ff"}})",
                           "model");
  ASSERT_TRUE(model);
  const auto vm = make_vm(std::move(*model), {});
  ASSERT_FALSE(vm);
  EXPECT_THAT(vm.error().text(), HasSubstr("/openmsp/compute/azEnviroment"));
}

TEST_F(ImdsTest, WalksThePath) {
  EXPECT_EQ(ask("/metadata/instance/?api-version=2021-02-01").response.status(), 200);
  const json::Value compute = body_of(ask("/metadata/instance/compute?api-version=2018-02-01"));
  EXPECT_EQ(text_at(compute, "/name"), "vm01");
  EXPECT_EQ(ask("/metadata/instance/compute/name?api-version=2021-02-01&format=text").response.body(), "vm01");
  EXPECT_EQ(ask("/metadata/instance/network/interface/0/macAddress?api-version=2021-02-01&format=text").response.body(),
            "000D3A123456");
  EXPECT_EQ(ask("/metadata/instance?api-version=2021-02-01&format=text").response.body(), "compute/\nnetwork/");
  EXPECT_EQ(ask("/metadata/instance/network/interface?api-version=2021-02-01&format=text").response.body(), "0/");
  EXPECT_EQ(ask("/metadata/instance?api-version=2021-02-01&extended=true").response.status(), 200);
}

TEST_F(ImdsTest, AVersionHasWhatItHadWhenItCame) {
  const auto has = [&](const std::string& version, const std::string& pointer) {
    return body_of(ask("/metadata/instance?api-version=" + version)).at(pointer) != nullptr;
  };
  EXPECT_FALSE(has("2018-02-01", "/compute/osProfile"));
  EXPECT_TRUE(has("2018-02-01", "/compute/vmId"));
  EXPECT_TRUE(has("2020-07-15", "/compute/osProfile/computerName"));
  EXPECT_FALSE(has("2020-09-01", "/compute/osProfile/disablePasswordAuthentication"));
  EXPECT_TRUE(has("2020-10-01", "/compute/osProfile/disablePasswordAuthentication"));
  EXPECT_FALSE(has("2020-12-01", "/compute/userData"));
  EXPECT_TRUE(has("2021-01-01", "/compute/userData"));
  EXPECT_TRUE(has("2025-04-07", "/compute/physicalZone"));
  EXPECT_EQ(ask("/metadata/instance/compute/userData?api-version=2018-02-01&format=text").response.status(), 404);
}

TEST_F(ImdsTest, ListsVersions) {
  const Answer answer = ask("/metadata/versions");
  EXPECT_EQ(answer.response.status(), 200);
  const json::Value tree = body_of(answer);
  EXPECT_EQ(text_at(tree, "/apiVersions/0"), "2017-03-01");
  for (const json::Value& version : *tree.find("apiVersions")->array()) {
    EXPECT_EQ(ask("/metadata/instance?api-version=" + *version.string()).response.status(), 200);
  }
}

TEST_F(ImdsTest, AnAnswerThatIsKeptIsThatOfItsVersion) {
  const auto body = [&](const std::string& version) {
    return ask("/metadata/instance?api-version=" + version).response.body();
  };
  const std::string old = body("2018-02-01");
  const std::string older = body("2017-03-01");
  EXPECT_LT(older.size(), old.size());
  EXPECT_LT(old.size(), body("2025-04-07").size());
  EXPECT_EQ(body("2017-03-01"), older);
  EXPECT_EQ(body("2018-02-01"), old);
  EXPECT_EQ(ask("/metadata/instance/?api-version=2018-02-01").response.body(), old);
}

TEST_F(ImdsTest, RefusesAsTheContractSays) {
  const struct {
    std::string target;
    test::HeaderLines headers;
    int status;
    std::string text;
  } rows[] = {
      {"/metadata/instance", {{"Metadata", "true"}}, 400, "api-version is invalid"},
      {"/metadata/instance?api-version=2021-02-02", {{"Metadata", "true"}}, 400, R"("newest-versions":["2025-04-07")"},
      {"/metadata/instance?api-version=2021-02-01", {}, 400, "Required metadata header not specified"},
      {"/metadata/instance?api-version=2021-02-01", {{"Metadata", "false"}}, 400, "Required metadata header"},
      {"/metadata/identity/oauth2/token", {}, 400, "bad_request_102"},
      {"/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x",
       {{"Metadata", "true"}},
       400,
       "Identity not found"},
      {"/metadata/instance?api-version=2021-02-01",
       {{"Metadata", "true"}, {"X-Forwarded-For", "1.1.1.1"}},
       400,
       "X-Forwarded-For"},
      {"/metadata/instance?api-version=2021-02-01",
       {{"Metadata", "true"}, {"x_forwarded_FOR", ""}},
       400,
       "X-Forwarded-For"},
      {"/metadata/instance?api-version=2021-02-01&api-version=2021-02-01", {{"Metadata", "true"}}, 400, "repeats"},
      {"/metadata/instance/compute/name?api-version=2021-02-01", {{"Metadata", "true"}}, 400, "error"},
      {"/metadata/instance?api-version=2021-02-01&format=xml", {{"Metadata", "true"}}, 400, "error"},
      {"/metadata/instance/nothing?api-version=2021-02-01", {{"Metadata", "true"}}, 404, "error"},
      {"/metadata/instance/network/interface/7?api-version=2021-02-01", {{"Metadata", "true"}}, 404, "error"},
      {"/metadata/instanceX?api-version=2021-02-01", {{"Metadata", "true"}}, 404, "error"},
      {"/latest/meta-data", {{"Metadata", "true"}}, 404, "error"},
  };
  for (const auto& row : rows) {
    const Answer answer = ask(row.target, row.headers);
    EXPECT_EQ(answer.response.status(), row.status) << row.target;
    EXPECT_THAT(answer.response.body(), HasSubstr(row.text)) << row.target;
    EXPECT_NE(answer.reason, Reason::kNone) << row.target;
    (void)body_of(answer);
  }
  const Answer posted = ask("/metadata/instance?api-version=2021-02-01", {{"Metadata", "true"}}, "POST");
  EXPECT_EQ(posted.response.status(), 405);
  EXPECT_THAT(posted.response.header_lines(), HasSubstr("allow: GET"));
}

TEST_F(ImdsTest, NamesMayBeInAnyCase) {
  EXPECT_EQ(ask("/metadata/instance?API-Version=2021-02-01", {{"METADATA", "True"}}).response.status(), 200);
}

}  // namespace
}  // namespace msp::gateway
