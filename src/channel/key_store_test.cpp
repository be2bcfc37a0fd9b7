// SPDX-License-Identifier: Apache-2.0
// Names and modes of the key store's files. What disks do to it: tests/component/key_store_*_test.cpp.
#include "channel/key_store.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

namespace msp::channel {
namespace {

using testing::HasSubstr;

const std::string kA = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
const std::string kB = "11111111-2222-4333-8444-555555555555";

class KeyStoreTest : public testing::Test {
 protected:
  KeyStoreTest() {
    std::string name = "/tmp/msp-keys-XXXXXX";
    directory = ::mkdtemp(name.data());
    store.emplace(directory + "/keys", directory);
    EXPECT_TRUE(store->prepare().ok());
  }
  ~KeyStoreTest() override { std::filesystem::remove_all(directory); }

  void save(const std::string& guid) {
    const auto saved = store->save({.guid = guid,
                                    .incarnation_id = 1,
                                    .issued = "2025-04-23T12:00:00Z",
                                    .key_hex = Secret::copy_of(std::string_view(std::string(64, 'a')))});
    EXPECT_TRUE(saved.ok()) << saved.error().text();
  }
  std::string file(const std::string& guid) const { return fmt::format("{}/keys/{}.key", directory, guid); }

  std::string directory;
  std::optional<KeyStore> store;
};

TEST_F(KeyStoreTest, AFileUnderAnotherIdIsNotUsed) {
  save(kA);
  EXPECT_TRUE(store->load(kA).ok());
  std::filesystem::rename(file(kA), file(kB));
  const auto loaded = store->load(kB);
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.error().text(), HasSubstr("holds the key of another id"));
}

TEST_F(KeyStoreTest, TheMarkIsOursAlone) {
  EXPECT_TRUE(store->mark_latched().ok());
  struct stat info{};
  ASSERT_EQ(::stat((directory + "/ever-latched").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0600U);
}

TEST_F(KeyStoreTest, OthersCannotChangeTheStateDirectory) {
  const KeyStore made(directory + "/state/keys", directory + "/state");
  ASSERT_TRUE(made.prepare().ok());
  struct stat info{};
  ASSERT_EQ(::stat((directory + "/state").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0755U);
}

TEST_F(KeyStoreTest, WhatTakesThePlaceOfTheMarkIsNone) {
  const std::string mark = directory + "/ever-latched";
  EXPECT_FALSE(store->is_marked());
  std::filesystem::create_symlink("/dev/null", mark);
  EXPECT_FALSE(store->is_marked());
  EXPECT_TRUE(store->mark_latched().ok());
  EXPECT_TRUE(store->is_marked());
  std::filesystem::remove(mark);
  std::filesystem::create_directory(mark);
  EXPECT_FALSE(store->is_marked());
}

TEST_F(KeyStoreTest, WhoLooksForAKeyIsToldTheNewest) {
  save(kA);
  save(kB);
  for (const auto& [newest, other] : {std::pair(kA, kB), std::pair(kB, kA)}) {
    const auto now = std::filesystem::file_time_type::clock::now();
    std::filesystem::last_write_time(file(newest), now);
    std::filesystem::last_write_time(file(other), now - std::chrono::hours(1));
    EXPECT_THAT(store->what_is_there(), HasSubstr("the newest " + newest));
  }
}

}  // namespace
}  // namespace msp::channel
