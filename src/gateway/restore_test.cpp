// SPDX-License-Identifier: Apache-2.0
// What is no good backup is refused by its name, with nothing changed and no advice that would lose what is there.
#include "gateway/restore.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gateway/config.h"
#include "gateway/model_store.h"
#include "gateway/sqlite.h"

namespace msp::gateway {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class RestoreTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "restore_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directory(path("state"));
    std::filesystem::permissions(path("state"), std::filesystem::perms(0700));
    write("state/master.key", std::string(64, '5'));
    auto config = parse_config(R"({"stateDirectory":"state","adminSocket":"a",
        "listeners":[{"address":"127.0.0.1","port":0,"service":"imds"}]})",
                               "host.json", directory_);
    ASSERT_TRUE(config) << config.error().text();
    config_ = *config;
    ASSERT_TRUE(open_sqlite_store(path("state/host.db")));
    before_ = read("state/host.db");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    std::filesystem::permissions(path(name), std::filesystem::perms(0600));
  }
  std::string read(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::string error_of(const std::string& name) {
    const auto restored = restore(config_, path(name));
    EXPECT_FALSE(restored);
    EXPECT_EQ(read("state/host.db"), before_);
    EXPECT_FALSE(std::filesystem::exists(path("state/host.db.before-restore")));
    return restored ? "" : restored.error().text();
  }
  auto says(std::string_view name, std::string_view why) const {
    return AllOf(HasSubstr(path(std::string(name))), HasSubstr(why), HasSubstr("nothing was changed"),
                 Not(HasSubstr("away")), Not(HasSubstr("reset")), Not(HasSubstr("stateDirectory")));
  }

  std::string directory_;
  std::string before_;
  Config config_;
};

TEST_F(RestoreTest, WhatIsNoBackupIsNamedAndNothingIsChanged) {
  write("host.json", fmt::format(R"({{"listeners":[{}]}})", std::string(200, ' ')));
  EXPECT_THAT(error_of("host.json"), says("host.json", "is no backup of msp-host: it is no database"));
  write("short", "x");
  EXPECT_THAT(error_of("short"), says("short", "it is no database"));
  for (const std::size_t size : {0, 4096}) {
    write("empty", std::string(size, '\0'));
    EXPECT_THAT(error_of("empty"), says("empty", "it is empty"));
  }
  ASSERT_TRUE(Database::open(path("other.db"), 77));
  EXPECT_THAT(error_of("other.db"), says("other.db", "it is a database of another program"));
}

TEST_F(RestoreTest, ADamagedBackupIsNotTakenForTheDatabaseThatIsThere) {
  write("damaged", before_.substr(0, 4096) + std::string(before_.size() - 4096, 'Z'));
  EXPECT_THAT(error_of("damaged"), says("damaged", "damaged"));
  write("cut", before_.substr(0, before_.size() / 2));
  EXPECT_THAT(error_of("cut"), says("cut", "cut"));
}

}  // namespace
}  // namespace msp::gateway
