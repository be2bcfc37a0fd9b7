// SPDX-License-Identifier: Apache-2.0
// For tests of Inventory: models as text, and an inventory with a real store and keys that can be opened again.
// Each test has a directory of its own; single thread.
// What goes wrong in here fails the test.
#pragma once

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/inventory.h"

namespace msp::gateway {

inline constexpr std::string_view kGallery =
    "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/N";
inline const std::string kVm1 = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";
inline const std::string kVm2 = "6f9619ff-8b86-4d01-b42d-00cf4fc96402";
inline const ResourceName kName1{.kind = ResourceKind::kVirtualMachine, .key = kVm1};

inline std::string version_id(std::string_view profile = "P", std::string_view version = "1.0.0") {
  return fmt::format("{}/inVMAccessControlProfiles/{}/versions/{}", kGallery, profile, version);
}
inline std::string version(std::string_view properties = R"("mode":"Enforce","defaultAccess":"Deny")",
                           std::string_view profile = "P") {
  return fmt::format(R"({{"id":"{}","properties":{{{}}}}})", version_id(profile), properties);
}
inline std::string profile(std::string_view endpoint, std::string_view name = "P") {
  return fmt::format(R"({{"id":"{}/inVMAccessControlProfiles/{}","properties":{{"applicableHostEndpoint":"{}"}}}})",
                     kGallery, name, endpoint);
}
inline std::string machine(const std::string& vm_id, std::string_view address, std::string_view settings) {
  return fmt::format(
      R"({{"name":"vm-{}", "unknown":[1.50,{{}}],"properties":{{"vmId":"{}","networkProfile":{{"networkInterfaces":[
      {{"properties":{{"ipConfigurations":[{{"properties":{{"privateIPAddress":"{}"}}}}]}}}}]}},
      "securityProfile":{{"proxyAgentSettings":{}}}}}}})",
      vm_id.back(), vm_id, address, settings);
}
inline std::string with_certificate(std::string text) {
  return text.insert(
      text.find(R"("networkProfile")"),
      R"("osProfile":{"secrets":[{"vaultCertificates":[{"certificateUrl":"https://v/secrets/web/1"}]}]},)");
}
inline std::string referring(std::string_view profile = "P", std::uint32_t incarnation = 1) {
  return fmt::format(
      R"({{"enabled":true,"keyIncarnationId":{},"imds":{{"inVMAccessControlProfileReferenceId":"{}"}}}})", incarnation,
      version_id(profile));
}

class InventoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "inventory_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    open();
  }
  void TearDown() override {
    close();
    std::filesystem::remove_all(directory_);
  }
  void close() {
    keys_.reset();
    inventory_.reset();
    store_.reset();
  }
  std::string try_open() {
    close();
    auto inventory = Inventory::load(config_);
    if (!inventory) {
      return inventory.error().text();
    }
    inventory_ = std::move(*inventory);
    auto store = open_sqlite_store(directory_ + "/host.db");
    EXPECT_TRUE(store);
    store_ = std::move(*store);
    if (auto opened = inventory_->open(*store_); !opened) {
      return opened.error().text();
    }
    auto keys = KeyRing::open(*store_, Secret::copy_of(std::string_view(master_)), inventory_->registry(), clock_, 4);
    if (!keys) {
      return keys.error().text();
    }
    keys_ = std::move(*keys);
    inventory_->attach(*keys_, [this](const std::string& vm_id) { changed_.push_back(vm_id); });
    return {};
  }
  void open() { ASSERT_EQ(try_open(), ""); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
    std::filesystem::permissions(directory_ + "/" + name, std::filesystem::perms::owner_read);
  }
  ChangeOutcome apply(const std::vector<std::string>& texts, bool dry_run = false) {
    std::vector<GivenResource> given;
    for (const std::string& text : texts) {
      given.push_back({.text = text});
    }
    auto outcome = inventory_->apply(given, dry_run);
    EXPECT_TRUE(outcome) << outcome.error().text();
    return outcome ? std::move(*outcome) : ChangeOutcome{};
  }
  void good(const std::vector<std::string>& texts) { EXPECT_THAT(faults(apply(texts)), testing::IsEmpty()); }
  static std::vector<std::string> faults(const ChangeOutcome& outcome) {
    std::vector<std::string> lines;
    for (const Fault& fault : outcome.faults) {
      lines.push_back(fmt::format("{} {}: {}", fault.resource, fault.pointer, fault.problem));
    }
    return lines;
  }
  static std::vector<std::string> differences(const ChangeOutcome& outcome) {
    std::vector<std::string> lines;
    for (const GuestChange& guest : outcome.guests) {
      for (const Difference& difference : guest.differences) {
        lines.push_back(fmt::format("{} {}: {} -> {}", guest.name, difference.what, difference.from, difference.to));
      }
    }
    return lines;
  }
  const Vm* vm(const std::string& id = kVm1) { return inventory_->registry().find_by_id(id); }
  std::string latch(const std::string& id = kVm1) {
    Vm& machine = *inventory_->registry().find_by_id(id);
    auto issued = keys_->issue(machine);
    EXPECT_TRUE(issued.ok() && issued->has_value());
    EXPECT_TRUE(keys_->latch(machine, (*issued)->guid).ok());
    return (*issued)->guid;
  }

  std::string directory_;
  Config config_;
  FakeClock clock_{1'745'409'600'000'000'000};
  const std::string master_ = std::string(32, 'm');
  std::unique_ptr<HostStore> store_;
  std::unique_ptr<Inventory> inventory_;
  std::unique_ptr<KeyRing> keys_;
  std::vector<std::string> changed_;
};

}  // namespace msp::gateway
