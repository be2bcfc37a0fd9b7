// SPDX-License-Identifier: Apache-2.0
// The power goes away at each moment of provisioning and of a change of the key, at the guest, at the host, or at both:
// a key that the host holds latched is readable in the guest, or another one can be latched (docs/disk-faults.md).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "channel/key_store.h"
#include "gateway/key_ring.h"
#include "gateway/master_key.h"
#include "gateway/model_store.h"
#include "tests/support/faults/power.h"

namespace msp {
namespace {

using faults::Promises;

struct Ends {
  Ends(const std::string& directory, std::uint32_t incarnation)
      : agent(directory + "/guest/keys", directory + "/guest/state") {
    open(directory + "/host", incarnation);
  }
  void open(const std::string& state, std::uint32_t incarnation) {
    const auto prepared = agent.prepare();
    ASSERT_TRUE(prepared.ok()) << prepared.error().text();
    ASSERT_TRUE(file::ensure_directory(state, 0700).ok());
    auto master = gateway::load_master_key(state + "/master.key", !std::filesystem::exists(state + "/host.db"));
    ASSERT_TRUE(master.ok()) << master.error().text();
    gateway::VmModel model;
    model.name = "vm";
    model.vm_id = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";
    model.proxy_agent.key_incarnation_id = incarnation;
    model.private_addresses = {{10, 0, 0, 4}};
    ASSERT_TRUE(registry.add(std::move(*gateway::make_vm(std::move(model), {}))).ok());
    auto opened = gateway::open_sqlite_store(state + "/host.db");
    ASSERT_TRUE(opened.ok()) << opened.error().text();
    store = std::move(*opened);
    auto ring = gateway::KeyRing::open(*store, std::move(*master), registry, clock, 4);
    ASSERT_TRUE(ring.ok()) << ring.error().text();
    keys = std::move(*ring);
  }
  gateway::Vm& vm() const { return *registry.all().front(); }

  /// What the channel does where the host names no key: acquire, save, attest.
  void provision() {
    auto issued = keys->issue(vm());
    ASSERT_TRUE(issued.ok() && issued->has_value());
    const protocol::KeyDocument key{.guid = (*issued)->guid,
                                    .incarnation_id = (*issued)->incarnation,
                                    .issued = (*issued)->issued,
                                    .key_hex = (*issued)->key.to_hex()};
    const auto saved = agent.save(key);
    ASSERT_TRUE(saved.ok()) << saved.error().text();
    const auto latched = keys->latch(vm(), key.guid);
    ASSERT_TRUE(latched.ok() && *latched == gateway::LatchOutcome::kLatched);
    faults::mark("latched");
    agent.prune(key.guid);
    ASSERT_TRUE(agent.mark_latched().ok());
  }
  /// The stored key is that which the host verifies with.
  void expect_common_key() {
    ASSERT_NE(vm().latched, nullptr);
    auto key = agent.load(vm().latched->guid);
    ASSERT_TRUE(key.ok()) << "latched, and the guest has lost it: " << key.error().text();
    auto bytes = key->key();
    ASSERT_TRUE(bytes.ok());
    auto mac = HmacSha256::create(*bytes);
    ASSERT_TRUE(mac.ok());
    EXPECT_EQ(sign(*mac), sign(vm().latched->mac));
  }
  static std::string sign(HmacSha256& mac) { return hex_encode(*mac.sign("text")); }

  FakeClock clock;
  channel::KeyStore agent;
  gateway::VmRegistry registry;
  std::unique_ptr<gateway::HostStore> store;
  std::unique_ptr<gateway::KeyRing> keys;
};

void live(const std::string& directory) {
  for (std::uint32_t incarnation = 1; incarnation <= 3; ++incarnation) {
    faults::mark("incarnation");
    Ends(directory, incarnation).provision();
  }
}

void judge(const std::string& directory, const Promises& promises) {
  const auto incarnation = static_cast<std::uint32_t>(std::ranges::count(promises, "incarnation"));
  Ends ends(directory, std::max(incarnation, 1U));
  if (testing::Test::HasFatalFailure()) {
    return;
  }
  if (!promises.empty() && promises.back() == "latched") {
    EXPECT_NE(ends.vm().latched, nullptr) << "an answered latch is lost";
  }
  if (ends.vm().latched == nullptr) {
    ends.provision();
  }
  ends.expect_common_key();
}

faults::PowerTally lose(const std::string& whose, const std::string& only) {
  return faults::run({.name = "power lost at " + whose,
                      .prepare =
                          [](const std::string& directory) {
                            // Two machines: each has its directory.
                            ASSERT_TRUE(file::ensure_directory(directory + "/guest", 0755).ok());
                            ASSERT_TRUE(file::ensure_directory(directory + "/host", 0700).ok());
                          },
                      .act = live,
                      .judge = judge,
                      .only = only});
}

TEST(BothEndsPower, LostAtTheGuest) { EXPECT_GT(lose("the guest", "guest").states, 500U); }
TEST(BothEndsPower, LostAtTheHost) { EXPECT_GT(lose("the host", "host").states, 500U); }
TEST(BothEndsPower, LostAtBoth) { EXPECT_GT(lose("both", {}).states, 500U); }

}  // namespace
}  // namespace msp
