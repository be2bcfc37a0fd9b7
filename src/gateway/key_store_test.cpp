// SPDX-License-Identifier: Apache-2.0
// The contract of KeyStore, run against SQLite; another store runs the same tests.
#include "gateway/model_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "gateway/sqlite.h"

namespace msp::gateway {
namespace {

KeyRecord key(std::string vm, std::string guid) {
  return {.vm_id = std::move(vm),
          .guid = std::move(guid),
          .issued = "2025-04-23T12:00:00Z",
          .incarnation = 1,
          .state = KeyState::kPending,
          .sealed = "sealed bytes"};
}

class KeyStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "key_store_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    reopen();
    enter("vm1", 1);
    enter("vm2", 1);
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
  void enter(std::string_view vm, std::uint32_t incarnation) {
    auto entered = store_->enter_incarnation(vm, incarnation);
    ASSERT_TRUE(entered) << entered.error().text();
  }
  void issue(const KeyRecord& record) {
    auto issued = store_->issue(record, 4);
    ASSERT_TRUE(issued) << issued.error().text();
    ASSERT_FALSE(issued->latched_already);
  }
  LatchOutcome latch(std::string_view vm, std::string_view guid) {
    auto latched = store_->latch(vm, guid);
    EXPECT_TRUE(latched) << latched.error().text();
    return latched ? *latched : LatchOutcome::kUnknown;
  }
  std::vector<std::string> guids(KeyState state) {
    auto loaded = store_->load();
    EXPECT_TRUE(loaded) << loaded.error().text();
    std::vector<std::string> found;
    for (const KeyRecord& record : *loaded) {
      if (record.state == state) {
        found.push_back(record.guid);
      }
    }
    return found;
  }
  using Guids = std::vector<std::string>;

  std::string directory_;
  std::unique_ptr<HostStore> store_;
};

TEST_F(KeyStoreTest, KeepsAKeyAsGiven) {
  issue(key("vm1", "a"));
  reopen();
  auto loaded = store_->load();
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->size(), 1U);
  const KeyRecord& record = loaded->front();
  EXPECT_EQ(record.vm_id, "vm1");
  EXPECT_EQ(record.guid, "a");
  EXPECT_EQ(record.issued, "2025-04-23T12:00:00Z");
  EXPECT_EQ(record.incarnation, 1U);
  EXPECT_EQ(record.state, KeyState::kPending);
  EXPECT_EQ(record.sealed, "sealed bytes");
}

TEST_F(KeyStoreTest, FirstAttestationLatchesAndTheOthersDie) {
  issue(key("vm1", "a"));
  issue(key("vm1", "b"));
  issue(key("vm2", "c"));
  EXPECT_EQ(latch("vm1", "b"), LatchOutcome::kLatched);
  EXPECT_EQ(guids(KeyState::kLatched), Guids{"b"});
  EXPECT_EQ(guids(KeyState::kPending), Guids{"c"});
  EXPECT_EQ(latch("vm1", "a"), LatchOutcome::kOtherIsLatched);
  EXPECT_EQ(latch("vm1", "b"), LatchOutcome::kAlready);
  EXPECT_EQ(guids(KeyState::kLatched), Guids{"b"});
}

TEST_F(KeyStoreTest, ALatchSurvivesARestartAndForbidsAnotherKey) {
  issue(key("vm1", "a"));
  EXPECT_EQ(latch("vm1", "a"), LatchOutcome::kLatched);
  reopen();
  auto second = store_->issue(key("vm1", "b"), 4);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->latched_already);
  EXPECT_TRUE(guids(KeyState::kPending).empty());
  EXPECT_EQ(latch("vm1", "a"), LatchOutcome::kAlready);
}

TEST_F(KeyStoreTest, AForeignOrUnknownKeyIsNotLatched) {
  issue(key("vm2", "a"));
  EXPECT_EQ(latch("vm1", "a"), LatchOutcome::kUnknown);
  EXPECT_EQ(latch("vm1", "nothing"), LatchOutcome::kUnknown);
  EXPECT_TRUE(guids(KeyState::kLatched).empty());
}

TEST_F(KeyStoreTest, PendingKeysAreBoundedAndTheOldestDies) {
  for (const char* guid : {"a", "b", "c", "d"}) {
    issue(key("vm1", guid));
  }
  auto fifth = store_->issue(key("vm1", "e"), 4);
  ASSERT_TRUE(fifth);
  EXPECT_EQ(fifth->dropped, Guids{"a"});
  EXPECT_EQ(guids(KeyState::kPending), (Guids{"b", "c", "d", "e"}));
  EXPECT_EQ(latch("vm1", "a"), LatchOutcome::kUnknown);
}

TEST_F(KeyStoreTest, AGuidIsNeverTakenTwice) {
  issue(key("vm1", "a"));
  EXPECT_FALSE(store_->issue(key("vm1", "a"), 4));
  EXPECT_FALSE(store_->issue(key("vm2", "a"), 4));
  enter("vm1", 2);
  EXPECT_FALSE(store_->issue(key("vm2", "a"), 4));
  // The failed calls left no transaction open.
  issue(key("vm1", "b"));
}

TEST_F(KeyStoreTest, RaisingTheIncarnationFreesTheLatch) {
  issue(key("vm1", "a"));
  EXPECT_EQ(latch("vm1", "a"), LatchOutcome::kLatched);
  auto raised = store_->enter_incarnation("vm1", 2);
  ASSERT_TRUE(raised);
  EXPECT_EQ(*raised, IncarnationOutcome::kRaised);
  EXPECT_TRUE(guids(KeyState::kLatched).empty());
  EXPECT_EQ(latch("vm1", "a"), LatchOutcome::kUnknown);
  issue(key("vm1", "b"));
}

TEST_F(KeyStoreTest, NothingOfADeadKeyStaysInTheFiles) {
  const std::string part = "a part of it;";  // what takes its room overwrites some of them
  KeyRecord record = key("vm1", "a");
  for (int i = 0; i < 32; ++i) {
    record.sealed += part;
  }
  issue(record);
  issue(key("vm2", "b"));
  const auto is_there = [&] {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      std::stringstream text;
      text << std::ifstream(entry.path()).rdbuf();
      all += text.str();
    }
    return all.find(part) != std::string::npos;
  };
  reopen();
  EXPECT_TRUE(is_there()) << "else nothing is shown below";
  enter("vm1", 2);
  reopen();
  EXPECT_FALSE(is_there());
}

TEST_F(KeyStoreTest, KnowsWhichKeysHaveEnded) {
  const auto ended = [&](std::string_view vm, std::string_view guid) {
    auto answer = store_->has_ended(vm, guid);
    EXPECT_TRUE(answer) << answer.error().text();
    return answer && *answer;
  };
  issue(key("vm1", "a"));
  issue(key("vm1", "b"));
  EXPECT_FALSE(ended("vm1", "a"));
  latch("vm1", "b");
  EXPECT_TRUE(ended("vm1", "a")) << "another one was latched";
  EXPECT_FALSE(ended("vm1", "b"));
  enter("vm1", 2);
  reopen();
  EXPECT_TRUE(ended("vm1", "b"));
  EXPECT_FALSE(ended("vm2", "b"));
  EXPECT_FALSE(ended("vm1", "nothing"));
}

TEST_F(KeyStoreTest, OfKeysThatWereNeverLatchedTheNewestAreRemembered) {
  const auto ended = [&](const std::string& guid) {
    auto answer = store_->has_ended("vm1", guid);
    EXPECT_TRUE(answer) << answer.error().text();
    return answer && *answer;
  };
  KeyRecord latched = key("vm1", "latched");
  latched.signer = "sealed signer";
  issue(latched);
  ASSERT_EQ(latch("vm1", "latched"), LatchOutcome::kLatched);
  enter("vm1", 2);
  issue(key("vm2", "of another"));
  constexpr std::size_t kPending = 4;  // as issue() has it
  for (std::size_t i = 0; i < KeyStore::kEndedKept + kPending + 1; ++i) {
    issue(key("vm1", std::to_string(i)));
  }
  EXPECT_FALSE(ended("0"));
  EXPECT_TRUE(ended("1"));
  EXPECT_TRUE(ended("latched")) << "it has signed, however long ago";
  EXPECT_EQ(latch("vm1", "0"), LatchOutcome::kUnknown);
  EXPECT_EQ(latch("vm2", "of another"), LatchOutcome::kLatched);
}

TEST_F(KeyStoreTest, AFallingIncarnationIsRefused) {
  enter("vm1", 5);
  issue(key("vm1", "a"));
  reopen();
  auto fell = store_->enter_incarnation("vm1", 4);
  ASSERT_TRUE(fell);
  EXPECT_EQ(*fell, IncarnationOutcome::kFell);
  auto same = store_->enter_incarnation("vm1", 5);
  ASSERT_TRUE(same);
  EXPECT_EQ(*same, IncarnationOutcome::kSame);
  EXPECT_EQ(guids(KeyState::kPending), Guids{"a"});
}

TEST_F(KeyStoreTest, NotesAreKept) {
  auto none = store_->note("check");
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
  ASSERT_TRUE(store_->set_note("check", std::string("a\0b", 3)));
  reopen();
  auto kept = store_->note("check");
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, std::string("a\0b", 3));
}

TEST_F(KeyStoreTest, AProcessThatDiesInTheMiddleLosesNothingThatWasAnswered) {
  store_.reset();
  for (int round = 0; round < 8; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = open_sqlite_store(path());
      bool good = store.ok() && (*store)->issue(key("vm1", "k" + std::to_string(round)), 4).ok();
      if (round == 7) {
        good = good && (*store)->latch("vm1", "k7").ok();
      }
      ::_exit(good ? 0 : 1);  // no destructor runs: as after a kill
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
  }
  reopen();
  EXPECT_EQ(guids(KeyState::kLatched), Guids{"k7"});
  EXPECT_TRUE(guids(KeyState::kPending).empty());
}

// What follows is SQLite's own.

TEST_F(KeyStoreTest, FilesAreForTheOwnerOnly) {
  issue(key("vm1", "a"));
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    struct stat status{};
    ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 077, 0U) << entry.path();
  }
}

TEST_F(KeyStoreTest, ASecondProcessIsRefused) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto second = open_sqlite_store(path());
    ::_exit(!second.ok() && second.error().text().find("another process") != std::string::npos ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(KeyStoreTest, APublicFileIsRefused) {
  store_.reset();
  ASSERT_EQ(::chmod(path().c_str(), 0640), 0);
  auto opened = open_sqlite_store(path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("0600"), std::string::npos);
}

TEST_F(KeyStoreTest, ADamagedFileIsRefusedAndNamed) {
  for (int i = 0; i < 200; ++i) {
    auto issued = store_->issue(key("vm1", "guid-" + std::to_string(i)), 400);
    ASSERT_TRUE(issued);
  }
  store_.reset();
  const auto size = std::filesystem::file_size(path());
  ASSERT_GT(size, 8192U);
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096);
    const std::string noise(static_cast<std::size_t>(size) - 4096, '\x5a');
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  }
  auto opened = open_sqlite_store(path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("damaged"), std::string::npos) << opened.error().text();
  EXPECT_NE(opened.error().text().find(path()), std::string::npos) << opened.error().text();
}

TEST_F(KeyStoreTest, AnIndexThatMissesAKeyIsRefused) {
  issue(key("vm1", "guid-1"));
  ASSERT_EQ(latch("vm1", "guid-1"), LatchOutcome::kLatched);
  store_.reset();
  std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  constexpr std::size_t kPage = 4096;
  constexpr char kIndexLeaf = 0x0a;  // https://www.sqlite.org/fileformat2.html
  std::size_t changed = 0;
  for (std::size_t page = kPage; page < bytes.size(); page += kPage) {
    const auto at = bytes.find("vm1", page);
    if (bytes[page] == kIndexLeaf && at < page + kPage) {
      bytes[at + 2] = '0';  // still before "vm2"
      ++changed;
    }
  }
  ASSERT_GT(changed, 0U);
  file.seekp(0);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  auto opened = open_sqlite_store(path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("damaged"), std::string::npos) << opened.error().text();
}

TEST_F(KeyStoreTest, ATornFileIsRefused) {
  for (int i = 0; i < 200; ++i) {
    auto issued = store_->issue(key("vm1", "guid-" + std::to_string(i)), 400);
    ASSERT_TRUE(issued);
  }
  store_.reset();
  std::filesystem::resize_file(path(), std::filesystem::file_size(path()) / 2);
  EXPECT_FALSE(open_sqlite_store(path()));
}

TEST_F(KeyStoreTest, ATextFileIsRefused) {
  store_.reset();
  {
    std::ofstream file(path(), std::ios::trunc);
    file << std::string(5000, 'x');
  }
  auto opened = open_sqlite_store(path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("no database"), std::string::npos) << opened.error().text();
}

TEST_F(KeyStoreTest, AnotherProgramsDatabaseIsRefused) {
  const std::string other = directory_ + "/other.db";
  {
    auto database = Database::open(other, 77);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute("CREATE TABLE t(x)"));
  }
  auto opened = open_sqlite_store(other);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("another program"), std::string::npos);
}

TEST_F(KeyStoreTest, ANewerSchemaIsRefused) {
  store_.reset();
  {
    auto database = Database::open(path(), 0x4d535048);
    ASSERT_TRUE(database);
    ASSERT_TRUE(database->execute("PRAGMA user_version=99"));
  }
  auto opened = open_sqlite_store(path());
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("schema 99"), std::string::npos);
}

}  // namespace
}  // namespace msp::gateway
