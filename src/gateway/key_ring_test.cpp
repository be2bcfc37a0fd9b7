// SPDX-License-Identifier: Apache-2.0
#include "gateway/key_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "gateway/master_key.h"
#include "gateway/model_store.h"
#include "gateway/sqlite.h"

namespace msp::gateway {
namespace {

using testing::HasSubstr;

constexpr std::string_view kVm1 = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";
constexpr std::string_view kVm2 = "6f9619ff-8b86-4d01-b42d-00cf4fc96402";

VmRegistry make_registry(std::uint32_t incarnation) {
  VmRegistry registry;
  std::uint8_t last = 1;
  for (const std::string_view vm_id : {kVm1, kVm2}) {
    VmModel model;
    model.name = "vm" + std::to_string(last);
    model.vm_id = vm_id;
    model.proxy_agent.enabled = true;
    model.proxy_agent.key_incarnation_id = incarnation;
    model.private_addresses = {{10, 0, 0, last++}};
    auto vm = make_vm(std::move(model), {});
    EXPECT_TRUE(vm);
    EXPECT_TRUE(registry.add(std::move(*vm)));
  }
  return registry;
}

class KeyRingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "key_ring_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    open();
  }
  void TearDown() override {
    close();
    std::filesystem::remove_all(directory_);
  }
  std::string database() const { return directory_ + "/host.db"; }
  std::string master_file() const { return directory_ + "/master.key"; }
  void close() {
    ring_.reset();
    store_.reset();
  }
  Result<void> try_open(std::uint32_t incarnation = 1) {
    close();
    registry_ = make_registry(incarnation);
    auto master = load_master_key(master_file(), ::access(database().c_str(), F_OK) != 0);
    if (!master) {
      return master.error();
    }
    auto store = open_sqlite_store(database());
    if (!store) {
      return store.error();
    }
    store_ = std::move(*store);
    auto ring = KeyRing::open(*store_, std::move(*master), registry_, clock_, 4);
    if (!ring) {
      return ring.error();
    }
    ring_ = std::move(*ring);
    return {};
  }
  void open(std::uint32_t incarnation = 1) {
    auto opened = try_open(incarnation);
    ASSERT_TRUE(opened) << opened.error().text();
  }
  std::string why_not(std::uint32_t incarnation = 1) {
    auto opened = try_open(incarnation);
    EXPECT_FALSE(opened);
    return opened ? "" : opened.error().text();
  }
  Vm& vm(std::string_view id = kVm1) { return *registry_.find_by_id(std::string(id)); }
  IssuedKey issue(std::string_view id = kVm1) {
    auto issued = ring_->issue(vm(id));
    EXPECT_TRUE(issued) << issued.error().text();
    EXPECT_TRUE(issued->has_value());
    return std::move(**issued);
  }
  LatchOutcome latch(std::string_view guid, std::string_view id = kVm1) {
    auto latched = ring_->latch(vm(id), guid);
    EXPECT_TRUE(latched) << latched.error().text();
    return *latched;
  }
  void run_sql(const std::string& sql) {
    close();
    auto opened = Database::open(database(), 0x4d535048);
    ASSERT_TRUE(opened);
    auto done = opened->execute(sql.c_str());
    ASSERT_TRUE(done) << done.error().text();
  }

  std::string directory_;
  FakeClock clock_{1'745'409'600'000'000'000};
  VmRegistry registry_;
  std::unique_ptr<HostStore> store_;
  std::unique_ptr<KeyRing> ring_;
};

TEST_F(KeyRingTest, EveryIssueIsAnotherKey) {
  std::set<std::string> guids;
  std::set<std::string> keys;
  for (int i = 0; i < 10; ++i) {
    const IssuedKey key = issue();
    EXPECT_EQ(key.key.size(), 32U);
    EXPECT_EQ(key.incarnation, 1U);
    EXPECT_EQ(key.issued.substr(0, 19), "2025-04-23T12:00:00");
    EXPECT_TRUE(is_guid(key.guid));
    EXPECT_EQ(key.guid, ascii_lower(key.guid));
    guids.insert(key.guid);
    keys.emplace(key.key.reveal());
  }
  EXPECT_EQ(guids.size(), 10U);
  EXPECT_EQ(keys.size(), 10U);
  std::size_t alive = 0;
  for (const std::string& guid : guids) {
    alive += ring_->find(guid) != nullptr ? 1 : 0;
  }
  EXPECT_EQ(alive, 4U);
}

TEST_F(KeyRingTest, OnlyTheAttestedKeyLives) {
  const IssuedKey thief = issue();
  const IssuedKey agent = issue();
  const IssuedKey other = issue(kVm2);
  EXPECT_EQ(vm().latched, nullptr);
  EXPECT_EQ(latch(agent.guid), LatchOutcome::kLatched);
  ASSERT_NE(vm().latched, nullptr);
  EXPECT_EQ(vm().latched->guid, agent.guid);
  EXPECT_EQ(ring_->find(thief.guid), nullptr);
  EXPECT_NE(ring_->find(other.guid), nullptr);
  EXPECT_EQ(latch(thief.guid), LatchOutcome::kOtherIsLatched);
  EXPECT_EQ(latch(agent.guid), LatchOutcome::kAlready);
  auto again = ring_->issue(vm());
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->has_value()) << "a latched key is never handed out again";
}

TEST_F(KeyRingTest, AForeignKeyIsNotLatched) {
  const IssuedKey other = issue(kVm2);
  EXPECT_EQ(latch(other.guid), LatchOutcome::kUnknown);
  EXPECT_EQ(vm().latched, nullptr);
}

TEST_F(KeyRingTest, ARestartBetweenIssueAndAttestationLosesNothing) {
  const IssuedKey key = issue();
  auto before = ring_->find(key.guid)->mac.sign("text");
  open();
  LiveKey* live = ring_->find(key.guid);
  ASSERT_NE(live, nullptr);
  EXPECT_EQ(live->state, KeyState::kPending);
  auto after = live->mac.sign("text");
  ASSERT_TRUE(before && after);
  EXPECT_EQ(*before, *after);
  EXPECT_EQ(latch(key.guid), LatchOutcome::kLatched);
  open();
  ASSERT_NE(vm().latched, nullptr);
  EXPECT_EQ(vm().latched->guid, key.guid);
}

TEST_F(KeyRingTest, RaisingTheIncarnationResetsTheKeyAndFallingIsRefused) {
  const IssuedKey key = issue();
  EXPECT_EQ(latch(key.guid), LatchOutcome::kLatched);
  open(2);
  EXPECT_EQ(vm().latched, nullptr);
  EXPECT_EQ(ring_->find(key.guid), nullptr);
  EXPECT_THAT(why_not(1), HasSubstr("keyIncarnationId 1 is lower"));
  open(2);
}

TEST_F(KeyRingTest, ARotatedKeyIsTakenUntilAnotherIsLatchedAndWhatIsOnItsWayHasCome) {
  const auto raise = [&] {
    const std::uint32_t raised = ++vm().model.proxy_agent.key_incarnation_id;
    ASSERT_TRUE(store_->change({.entered = {{.vm_id = std::string(kVm1), .incarnation = raised}}}).ok());
    ring_->rotate(vm());
  };
  const IssuedKey first = issue();
  EXPECT_EQ(latch(first.guid), LatchOutcome::kLatched);
  const IssuedKey unused = issue(kVm2);
  raise();
  EXPECT_EQ(vm().latched, nullptr);
  ASSERT_NE(ring_->taken(vm(), first.guid), nullptr);
  EXPECT_EQ(ring_->taken(vm(kVm2), first.guid), nullptr);
  EXPECT_EQ(ring_->taken(vm(kVm2), unused.guid), nullptr) << "a pending key signs nothing";
  EXPECT_EQ(latch(first.guid), LatchOutcome::kUnknown) << "it comes back for nothing";

  const IssuedKey second = issue();
  EXPECT_EQ(ring_->taken(vm(), second.guid), nullptr);
  EXPECT_EQ(latch(second.guid), LatchOutcome::kLatched);
  EXPECT_NE(ring_->taken(vm(), second.guid), nullptr);
  clock_.advance_ms(kOnItsWayMs - 1);
  EXPECT_NE(ring_->taken(vm(), first.guid), nullptr);
  clock_.advance_ms(1);
  EXPECT_EQ(ring_->taken(vm(), first.guid), nullptr);

  raise();
  EXPECT_EQ(ring_->find(first.guid), nullptr) << "its bytes are gone from memory";
  clock_.advance_ms(kMostOverlapMs - 1);
  EXPECT_NE(ring_->taken(vm(), second.guid), nullptr) << "nobody has latched another";
  const IssuedKey late = issue();
  EXPECT_EQ(latch(late.guid), LatchOutcome::kLatched);
  clock_.advance_ms(1);
  EXPECT_EQ(ring_->taken(vm(), second.guid), nullptr) << "a late latch does not lengthen it";
  issue(kVm2);
  EXPECT_EQ(ring_->find(second.guid), nullptr) << "whoever is issued a key next clears what is over";

  raise();
  open(vm().model.proxy_agent.key_incarnation_id);
  EXPECT_EQ(ring_->taken(vm(), late.guid), nullptr) << "no key of an earlier incarnation comes back by a restart";
}

TEST_F(KeyRingTest, AResetEndsARotatedKeyAtOnce) {
  const IssuedKey key = issue();
  EXPECT_EQ(latch(key.guid), LatchOutcome::kLatched);
  ring_->rotate(vm());
  ring_->drop(vm());
  EXPECT_EQ(ring_->taken(vm(), key.guid), nullptr);
  EXPECT_EQ(ring_->find(key.guid), nullptr);
  ring_->rotate(vm());
  EXPECT_EQ(vm().outgoing, nullptr) << "there is nothing to take longer";
}

TEST_F(KeyRingTest, AStoreThatFailsChangesNothing) {
  const IssuedKey key = issue();
  run_sql("CREATE TRIGGER broken BEFORE UPDATE ON vm_key BEGIN SELECT RAISE(ABORT, 'disk trouble'); END;");
  open();
  auto latched = ring_->latch(vm(), key.guid);
  ASSERT_FALSE(latched);
  EXPECT_THAT(latched.error().text(), HasSubstr("disk trouble"));
  EXPECT_EQ(vm().latched, nullptr);
  EXPECT_EQ(ring_->find(key.guid)->state, KeyState::kPending);
  run_sql("DROP TRIGGER broken");
  open();
  EXPECT_EQ(latch(key.guid), LatchOutcome::kLatched);
}

TEST_F(KeyRingTest, AnotherMasterKeyIsRefused) {
  ASSERT_EQ(latch(issue().guid), LatchOutcome::kLatched);
  close();
  {
    std::ofstream file(master_file(), std::ios::trunc);
    file << std::string(64, 'a');
  }
  EXPECT_THAT(why_not(), HasSubstr("master key is not the one"));
  std::filesystem::remove(master_file());
  EXPECT_THAT(why_not(), HasSubstr("put its file back"));
}

TEST_F(KeyRingTest, TheMasterKeyFileIsChecked) {
  close();
  struct stat status{};
  ASSERT_EQ(::stat(master_file().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  ASSERT_EQ(::chmod(master_file().c_str(), 0644), 0);
  EXPECT_THAT(why_not(), HasSubstr("master.key"));
  ASSERT_EQ(::chmod(master_file().c_str(), 0600), 0);
  open();
  close();
  {
    std::ofstream file(master_file(), std::ios::trunc);
    file << "short";
  }
  EXPECT_THAT(why_not(), HasSubstr("64 hex digits"));
}

TEST_F(KeyRingTest, AKeyOpensOnlyForItsMachineAndGuid) {
  ASSERT_EQ(latch(issue(kVm1).guid, kVm1), LatchOutcome::kLatched);
  ASSERT_EQ(latch(issue(kVm2).guid, kVm2), LatchOutcome::kLatched);
  run_sql("UPDATE vm_key SET sealed=(SELECT sealed FROM vm_key AS other WHERE other.vm_id<>vm_key.vm_id)");
  EXPECT_THAT(why_not(), HasSubstr("does not open"));
}

TEST_F(KeyRingTest, NoFileHoldsTheKey) {
  const IssuedKey key = issue();
  EXPECT_EQ(latch(key.guid), LatchOutcome::kLatched);
  close();
  const Secret hex = key.key.to_hex();
  const std::string needles[] = {std::string(key.key.reveal()), std::string(hex.reveal()), ascii_upper(hex.reveal()),
                                 base64_encode(key.key.bytes()).substr(0, 40)};
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string content{std::istreambuf_iterator<char>(file), {}};
    for (const std::string& needle : needles) {
      EXPECT_EQ(content.find(needle), std::string::npos) << entry.path();
    }
    ++files;
  }
  EXPECT_GE(files, 2U);
}

TEST_F(KeyRingTest, StatusIsSignedWithAKeyThatIsOrWasLatchedAndWithNoOther) {
  const protocol::SignedStatus status{.nonce = "n", .status = 200, .body = "{}"};
  const auto with = [&](const std::string& guid, std::string_view id = kVm1) {
    auto digest = ring_->sign_status(vm(id), guid, {}, status);
    EXPECT_TRUE(digest) << digest.error().text();
    return *digest;
  };
  const IssuedKey thief = issue();
  const IssuedKey agent = issue();
  EXPECT_FALSE(with(agent.guid).has_value()) << "pending";
  latch(agent.guid);
  const auto first = with(agent.guid);
  ASSERT_TRUE(first.has_value());
  auto mac = HmacSha256::create(*protocol::status_secret(agent.key));
  EXPECT_EQ(*first, *protocol::sign_status(*mac, status));
  EXPECT_FALSE(with(thief.guid).has_value()) << "never latched";
  EXPECT_FALSE(with(agent.guid, kVm2).has_value()) << "another machine's";
  EXPECT_FALSE(with("7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11").has_value());
  open(2);
  EXPECT_EQ(vm().latched, nullptr);
  EXPECT_EQ(with(agent.guid), first) << "the key is dead, what it said of the host is not";
  EXPECT_FALSE(with(agent.guid, kVm2).has_value());
  const IssuedKey next = issue();
  latch(next.guid);
  EXPECT_NE(with(next.guid), first);
  EXPECT_EQ(with(agent.guid), first);
}

TEST_F(KeyRingTest, TwoKeysOfOneMachineSignLinkedAlsoWhenBothHaveEnded) {
  const protocol::SignedStatus status{.nonce = "n", .status = 200, .body = "{}"};
  const auto with = [&](const std::string& guid, const std::string& later, std::string_view id = kVm1) {
    auto digest = ring_->sign_status(vm(id), guid, later, status);
    EXPECT_TRUE(digest) << digest.error().text();
    return *digest;
  };
  const IssuedKey first = issue();
  latch(first.guid);
  open(2);
  const IssuedKey thief = issue();
  const IssuedKey later = issue();
  EXPECT_FALSE(with(first.guid, later.guid).has_value()) << "pending";
  latch(later.guid);
  const auto linked = with(first.guid, later.guid);
  ASSERT_TRUE(linked.has_value());
  const auto secret = protocol::linked_secret(*protocol::status_secret(first.key), *protocol::status_secret(later.key));
  auto mac = HmacSha256::create(*secret);
  EXPECT_EQ(*linked, *protocol::sign_status(*mac, status));
  EXPECT_NE(with(later.guid, first.guid), linked);
  EXPECT_FALSE(with(first.guid, thief.guid).has_value()) << "never latched";
  EXPECT_FALSE(with(thief.guid, later.guid).has_value());
  EXPECT_FALSE(with(first.guid, later.guid, kVm2).has_value()) << "another machine's";
  open(3);
  EXPECT_EQ(with(first.guid, later.guid), linked);
}

TEST_F(KeyRingTest, AKeyOfAnOlderDatabaseSignsToo) {
  const IssuedKey key = issue();
  latch(key.guid);
  run_sql("UPDATE vm_key SET signer=x''");
  open();
  open(2);
  const auto digest = ring_->sign_status(vm(), key.guid, {}, {.nonce = "n", .status = 200, .body = "{}"});
  EXPECT_TRUE(digest.ok() && digest->has_value());
}

}  // namespace
}  // namespace msp::gateway
