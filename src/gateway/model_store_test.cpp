// SPDX-License-Identifier: Apache-2.0
// The contract of ModelStore, run against SQLite; another store runs the same tests.
#include "gateway/model_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "gateway/sqlite.h"

namespace msp::gateway {
namespace {

const ResourceName kMachine{.kind = ResourceKind::kVirtualMachine, .key = "vm1"};
const ResourceName kVersion{.kind = ResourceKind::kProfileVersion, .key = "/p/versions/1"};

class ModelStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "model_store_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    reopen();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  std::string path() const { return directory_ + "/host.db"; }
  void reopen() {
    store_.reset();
    auto opened = open_sqlite_store(path());
    ASSERT_TRUE(opened) << opened.error().text();
    store_ = std::move(*opened);
  }
  void change(const ModelChange& change) {
    auto changed = store_->change(change);
    ASSERT_TRUE(changed) << changed.error().text();
  }
  void latch(const std::string& vm, const std::string& guid, std::uint32_t incarnation) {
    const KeyRecord record{.vm_id = vm, .guid = guid, .issued = "now", .incarnation = incarnation, .sealed = "sealed"};
    ASSERT_TRUE(store_->issue(record, 4).ok());
    auto latched = store_->latch(vm, guid);
    ASSERT_TRUE(latched);
    ASSERT_EQ(*latched, LatchOutcome::kLatched);
  }
  std::vector<std::string> texts() {
    auto stored = store_->resources();
    EXPECT_TRUE(stored);
    std::vector<std::string> found;
    for (const StoredResource& resource : *stored) {
      found.push_back(resource.text);
    }
    return found;
  }
  std::size_t keys(std::string_view vm) {
    auto loaded = store_->load(vm);
    EXPECT_TRUE(loaded);
    return loaded->size();
  }
  using Texts = std::vector<std::string>;

  std::string directory_;
  std::unique_ptr<HostStore> store_;
};

TEST_F(ModelStoreTest, KeepsTextsByteForByteInTheOrderOfTheirNames) {
  const std::string text = "{ \"a\" :1.0e5,\n\t\"\xc3\xa4\":\"\\u0000\" }";
  change({.put = {{.name = kVersion, .text = "v", .addresses = ""},
                  {.name = kMachine,
                   .text = text,
                   .addresses = "10.0.0.1 10.0.0.2",
                   .interfaces = "vnet0 vnet1",
                   .network = "br0"}}});
  reopen();
  auto stored = store_->resources();
  ASSERT_TRUE(stored);
  ASSERT_EQ(stored->size(), 2U);
  EXPECT_EQ((*stored)[0].name, kMachine);
  EXPECT_EQ((*stored)[0].text, text);
  EXPECT_EQ((*stored)[0].addresses, "10.0.0.1 10.0.0.2");
  EXPECT_EQ((*stored)[0].interfaces, "vnet0 vnet1");
  EXPECT_EQ((*stored)[0].network, "br0");
  EXPECT_EQ((*stored)[1].name, kVersion);
}

TEST_F(ModelStoreTest, PutTakesThePlaceOfWhatHasTheName) {
  change({.put = {{.name = kMachine, .text = "old", .addresses = "10.0.0.1"}}});
  change({.put = {{.name = kMachine, .text = "new", .addresses = ""}}});
  EXPECT_EQ(texts(), Texts{"new"});
  change({.removed = {kMachine, kVersion}});
  EXPECT_EQ(texts(), Texts{});
}

TEST_F(ModelStoreTest, ARaisedIncarnationEndsTheKeysWithTheSameChange) {
  change({.entered = {{.vm_id = "vm1", .incarnation = 1}, {.vm_id = "vm2", .incarnation = 1}}});
  latch("vm1", "a", 1);
  latch("vm2", "b", 1);
  change({.put = {{.name = kMachine, .text = "x", .addresses = ""}}, .entered = {{.vm_id = "vm1", .incarnation = 1}}});
  EXPECT_EQ(keys("vm1"), 1U) << "the same one as before";
  change({.entered = {{.vm_id = "vm1", .incarnation = 2}}});
  EXPECT_EQ(keys("vm1"), 0U);
  EXPECT_EQ(keys("vm2"), 1U);
  auto known = store_->incarnation("vm1");
  ASSERT_TRUE(known);
  EXPECT_EQ(*known, 2U);
  auto never = store_->incarnation("vm9");
  ASSERT_TRUE(never);
  EXPECT_FALSE(never->has_value());
}

TEST_F(ModelStoreTest, ALowerIncarnationRefusesTheWholeChange) {
  change(
      {.put = {{.name = kMachine, .text = "old", .addresses = ""}}, .entered = {{.vm_id = "vm1", .incarnation = 5}}});
  latch("vm1", "a", 5);
  auto refused = store_->change(
      {.put = {{.name = kMachine, .text = "new", .addresses = ""}, {.name = kVersion, .text = "v", .addresses = ""}},
       .removed = {kVersion},
       .entered = {{.vm_id = "vm2", .incarnation = 1}, {.vm_id = "vm1", .incarnation = 4}},
       .forgotten = {"vm1"}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(texts(), Texts{"old"});
  EXPECT_EQ(keys("vm1"), 1U);
  auto other = store_->incarnation("vm2");
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->has_value());
}

TEST_F(ModelStoreTest, AForgottenMachineHasNoKeyAndItsIncarnationStaysKnown) {
  change({.entered = {{.vm_id = "vm1", .incarnation = 3}}});
  latch("vm1", "a", 3);
  change({.removed = {kMachine}, .forgotten = {"vm1"}});
  reopen();
  EXPECT_EQ(keys("vm1"), 0U);
  auto lower = store_->change({.entered = {{.vm_id = "vm1", .incarnation = 2}}});
  EXPECT_FALSE(lower);
  change({.entered = {{.vm_id = "vm1", .incarnation = 3}}});
  latch("vm1", "b", 3);
}

TEST_F(ModelStoreTest, AProcessThatDiesRightAfterLosesNothing) {
  store_.reset();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto store = open_sqlite_store(path());
    const bool good = store.ok() && (*store)->change({.put = {{.name = kMachine, .text = "x", .addresses = ""}}}).ok();
    ::_exit(good ? 0 : 1);  // no destructor runs: as after a kill
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  reopen();
  EXPECT_EQ(texts(), Texts{"x"});
}

// What follows is SQLite's own.

TEST_F(ModelStoreTest, ADatabaseOfTheFirstSchemaIsBroughtUpToDateAndKeepsItsKeys) {
  change({.entered = {{.vm_id = "vm1", .incarnation = 1}}});
  latch("vm1", "a", 1);
  store_.reset();
  {
    auto database = Database::open(path(), 0x4d535048);
    ASSERT_TRUE(database);
    ASSERT_TRUE(
        database->execute("DROP TABLE resource; ALTER TABLE vm DROP COLUMN moves; "
                          "ALTER TABLE vm_key DROP COLUMN signer; PRAGMA user_version=1"));
  }
  reopen();
  EXPECT_EQ(keys("vm1"), 1U);
  EXPECT_EQ(*store_->moves("vm1"), 0U);
  EXPECT_EQ(texts(), Texts{});
  change({.put = {{.name = kMachine, .text = "x", .addresses = ""}}});
  EXPECT_EQ(texts(), Texts{"x"});
}

TEST_F(ModelStoreTest, ADatabaseOfTheSecondSchemaKeepsItsModelsAndTakesScaleSets) {
  store_.reset();
  {
    auto database = Database::open(path(), 0x4d535048);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute(
        "DROP TABLE resource; CREATE TABLE resource(kind INTEGER NOT NULL CHECK(kind IN (0,1,2)), key TEXT NOT NULL,"
        " text TEXT NOT NULL, addresses TEXT NOT NULL, PRIMARY KEY(kind, key)) STRICT, WITHOUT ROWID;"
        "INSERT INTO resource VALUES(0, 'vm1', 'kept', '10.0.0.4'); ALTER TABLE vm DROP COLUMN moves;"
        "ALTER TABLE vm_key DROP COLUMN signer; PRAGMA user_version=2"));
  }
  reopen();
  EXPECT_EQ(texts(), Texts{"kept"});
  change({.put = {{.name = {.kind = ResourceKind::kScaleSet, .key = "/s"}, .text = "set", .addresses = ""}}});
  EXPECT_EQ(texts(), (Texts{"kept", "set"}));
}

TEST_F(ModelStoreTest, AMachineOfTheSixthSchemaIsOfNoNetwork) {
  change({.put = {{.name = kMachine, .text = "kept", .addresses = "10.0.0.4", .interfaces = "vnet0", .network = "x"}}});
  store_.reset();
  {
    auto database = Database::open(path(), 0x4d535048);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute("ALTER TABLE resource DROP COLUMN network; PRAGMA user_version=6"));
  }
  reopen();
  const auto stored = store_->resources();
  ASSERT_TRUE(stored);
  ASSERT_EQ(stored->size(), 1U);
  EXPECT_EQ(stored->front().interfaces, "vnet0");
  EXPECT_EQ(stored->front().network, "");
}

}  // namespace
}  // namespace msp::gateway
