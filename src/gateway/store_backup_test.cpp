// SPDX-License-Identifier: Apache-2.0
// The contract of backups and of what a restored store takes from a later one, run against SQLite.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gateway/model_store.h"

namespace msp::gateway {
namespace {

class StoreBackupTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "store_backup_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    store_ = open("host.db");
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  std::unique_ptr<HostStore> open(const std::string& name) {
    auto opened = open_sqlite_store(path(name));
    EXPECT_TRUE(opened) << opened.error().text();
    return opened ? std::move(*opened) : nullptr;
  }
  void enter(const std::string& vm, std::uint32_t incarnation) {
    EXPECT_TRUE(store_->enter_incarnation(vm, incarnation).ok());
  }
  void issue(const std::string& vm, const std::string& guid) {
    EXPECT_TRUE(
        store_->issue({.vm_id = vm, .guid = guid, .issued = "now", .incarnation = 1, .sealed = "sealed"}, 4).ok());
  }
  void latch(const std::string& vm, const std::string& guid) {
    issue(vm, guid);
    EXPECT_EQ(*store_->latch(vm, guid), LatchOutcome::kLatched);
  }
  /// Written to a file, as one that was copied is; `between` runs when some of it is copied.
  template <class F>
  std::unique_ptr<HostStore> backup(F&& between) {
    auto copy = store_->begin_backup();
    EXPECT_TRUE(copy.ok());
    int steps = 0;
    for (bool whole = false; !whole; ++steps) {
      auto step = (*copy)->step();
      EXPECT_TRUE(step) << step.error().text();
      whole = !step || *step;
      if (steps == 0 && !whole) {
        between();
      }
    }
    auto bytes = (*copy)->bytes();
    EXPECT_TRUE(bytes);
    std::ofstream(path("copy.db"), std::ios::binary) << *bytes;
    std::filesystem::permissions(path("copy.db"),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    EXPECT_GT(steps, 1) << "else nothing is shown of what comes between";
    return open("copy.db");
  }
  void fill() {
    ModelChange change;
    for (int i = 0; i < 300; ++i) {
      change.put.push_back({.name = {.kind = ResourceKind::kVirtualMachine, .key = "vm" + std::to_string(i)},
                            .text = std::string(8000, 'x'),
                            .addresses = ""});
    }
    ASSERT_TRUE(store_->change(change).ok());
  }
  static std::string state(HostStore& store, const std::string& guid) {
    auto all = store.load();
    for (const KeyRecord& record : *all) {
      if (record.guid == guid) {
        return record.state == KeyState::kLatched ? "latched" : "pending";
      }
    }
    for (const std::string& vm : {"vm1", "vm2", "vm3"}) {
      if (*store.has_ended(vm, guid)) {
        return "ended";
      }
    }
    return "unknown";
  }

  std::string directory_;
  std::unique_ptr<HostStore> store_;
};

TEST_F(StoreBackupTest, WhatIsWrittenMeanwhileIsInIt) {
  fill();
  enter("vm1", 1);
  auto copy = backup([&] {
    latch("vm1", "a");
    issue("vm1", "never");
  });
  EXPECT_EQ(copy->resources()->size(), 300U);
  EXPECT_EQ(state(*copy, "a"), "latched");
  EXPECT_EQ(state(*store_, "a"), "latched");
}

TEST_F(StoreBackupTest, KeysOfTheLaterStoreHold) {
  fill();
  for (const char* vm : {"vm1", "vm2", "vm3"}) {
    enter(vm, 1);
  }
  latch("vm1", "reset later");
  issue("vm2", "latched later");
  latch("vm3", "same");
  auto copy = backup([] {});
  enter("vm1", 4);
  latch("vm1", "after the reset");
  EXPECT_EQ(*store_->latch("vm2", "latched later"), LatchOutcome::kLatched);
  store_.reset();

  auto taken = copy->take_keys_of(path("host.db"));
  ASSERT_TRUE(taken) << taken.error().text();
  EXPECT_EQ(state(*copy, "reset later"), "ended");
  EXPECT_EQ(state(*copy, "after the reset"), "latched");
  EXPECT_EQ(state(*copy, "latched later"), "latched");
  EXPECT_EQ(state(*copy, "same"), "latched");
  EXPECT_EQ(**copy->incarnation("vm1"), 4U);
  auto again = copy->issue({.vm_id = "vm2", .guid = "new", .issued = "", .incarnation = 1, .sealed = "s"}, 4);
  EXPECT_TRUE(again->latched_already) << "nothing is latched a second time";
}

TEST_F(StoreBackupTest, KeysOfAnotherHistoryDie) {
  fill();
  enter("vm1", 1);
  latch("vm1", "later");
  auto copy = backup([] {});
  EXPECT_TRUE(copy->enter_incarnation("vm1", 2).ok());
  EXPECT_TRUE(
      copy->issue({.vm_id = "vm1", .guid = "only here", .issued = "", .incarnation = 2, .sealed = "s"}, 4).ok());
  store_.reset();
  ASSERT_TRUE(copy->take_keys_of(path("host.db")).ok());
  EXPECT_EQ(state(*copy, "only here"), "ended");
  EXPECT_EQ(state(*copy, "later"), "ended") << "of an incarnation that is over";
  EXPECT_EQ(**copy->incarnation("vm1"), 2U);
}

TEST_F(StoreBackupTest, WithoutALaterStoreEveryKeyEnds) {
  fill();
  enter("vm1", 1);
  latch("vm1", "a");
  auto copy = backup([] {});
  ASSERT_TRUE(copy->end_all_keys().ok());
  EXPECT_EQ(state(*copy, "a"), "ended");
  EXPECT_FALSE(
      copy->issue({.vm_id = "vm1", .guid = "b", .issued = "", .incarnation = 1, .sealed = "s"}, 4)->latched_already);
}

}  // namespace
}  // namespace msp::gateway
