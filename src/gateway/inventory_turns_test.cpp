// SPDX-License-Identifier: Apache-2.0
// A change that concerns many machines lets others have their turns, and becomes true at one moment.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "gateway/inventory.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMany = 200;
constexpr std::string_view kVersion =
    "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles/P/versions/"
    "1.0.0";

std::vector<GivenResource> machines() {
  std::vector<GivenResource> out;
  for (std::size_t i = 0; i < kMany; ++i) {
    out.push_back({.text = fmt::format(
                       R"({{"name":"vm-{0}","properties":{{"vmId":"6f9619ff-8b86-4d01-b42d-{0:012x}","securityProfile":
                       {{"proxyAgentSettings":{{"enabled":true,"imds":{{"inVMAccessControlProfileReferenceId":"{1}"}}}}}}}}}})",
                       i, kVersion),
                   .addresses = std::vector<Ipv4Address>{{10, 0, 0, static_cast<std::uint8_t>(i)}}});
  }
  return out;
}

std::vector<GivenResource> allowlist(std::string_view mode) {
  std::vector<GivenResource> out;
  out.push_back(
      {.text = fmt::format(R"({{"id":"{}","properties":{{"mode":"{}","defaultAccess":"Deny"}}}})", kVersion, mode)});
  return out;
}

class InventoryTurnsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "turns_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    inventory_ = *Inventory::load(Config{});
    store_ = *open_sqlite_store(directory_ + "/host.db");
    ASSERT_TRUE(inventory_->open(*store_).ok());
    keys_ = *KeyRing::open(*store_, Secret::copy_of(std::string_view(std::string(32, 'm'))), inventory_->registry(),
                           clock_, 4);
    inventory_->attach(*keys_, [](const std::string&) {});
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::size_t in_mode(Mode mode) const {
    std::size_t count = 0;
    for (const auto& vm : inventory_->registry().all()) {
      count += vm->imds.mode == mode ? 1 : 0;
    }
    return count;
  }
  /// Runs the change turn by turn; in each of them all machines are as before, or all are as after it.
  ChangeOutcome follow(Task<Result<ChangeOutcome>> change, Mode after, std::size_t before, int& turns) {
    for (turns = 0; !change.done(); ++turns) {
      const std::size_t now = in_mode(after);
      EXPECT_TRUE(now == before) << now << " of them are changed in turn " << turns;
      loop_.run_once(0);
    }
    auto outcome = std::move(change).result();
    EXPECT_TRUE(outcome.ok());
    return outcome.ok() ? *std::move(outcome) : ChangeOutcome{};
  }

  std::string directory_;
  SystemClock clock_;
  Loop loop_;
  std::unique_ptr<HostStore> store_;
  std::unique_ptr<Inventory> inventory_;
  std::unique_ptr<KeyRing> keys_;
};

TEST_F(InventoryTurnsTest, ManyMachinesAreChangedInManyTurnsAndAtOneMoment) {
  const auto first = inventory_->apply(allowlist("Audit"), false);
  ASSERT_TRUE(first.ok());
  int turns = 0;
  follow(inventory_->apply(machines(), false, KeyEnd::kAtOnce, Pauses(loop_)), Mode::kAudit, 0, turns);
  EXPECT_GE(turns, 50);
  ASSERT_EQ(in_mode(Mode::kAudit), kMany);
  const ChangeOutcome dry =
      follow(inventory_->apply(allowlist("Enforce"), true, KeyEnd::kAtOnce, Pauses(loop_)), Mode::kEnforce, 0, turns);
  EXPECT_GE(turns, 40);
  EXPECT_EQ(dry.guests.size(), kMany);
  EXPECT_EQ(in_mode(Mode::kEnforce), 0U);
  const ChangeOutcome made =
      follow(inventory_->apply(allowlist("Enforce"), false, KeyEnd::kAtOnce, Pauses(loop_)), Mode::kEnforce, 0, turns);
  EXPECT_GE(turns, 40);
  EXPECT_EQ(made.guests.size(), kMany);
  EXPECT_EQ(in_mode(Mode::kEnforce), kMany);
}

// What the store refuses, or a client that has gone meanwhile, leaves everything as it was.
TEST_F(InventoryTurnsTest, AChangeThatIsGivenUpHasNotBegun) {
  ASSERT_TRUE(inventory_->apply(allowlist("Audit"), false).ok());
  ASSERT_TRUE(inventory_->apply(machines(), false).ok());
  {
    const auto change = inventory_->apply(allowlist("Enforce"), false, KeyEnd::kAtOnce, Pauses(loop_));
    loop_.run_once(0);
    ASSERT_FALSE(change.done());
  }
  loop_.run_once(0);
  EXPECT_EQ(in_mode(Mode::kAudit), kMany);
}

}  // namespace
}  // namespace msp::gateway
