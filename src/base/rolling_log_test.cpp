// SPDX-License-Identifier: Apache-2.0
#include "base/rolling_log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "base/file.h"

namespace msp {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kThen = 1'745'409'600 * kSecond + 123'456'789;

class RollingLogTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(::mkdtemp(folder.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder); }

  std::string folder = testing::TempDir() + "rolling_log_XXXXXX";
  std::string path() const { return folder + "/log/ProxyAgent.log"; }
};

TEST_F(RollingLogTest, LinesHaveTheFieldsHeader) {
  auto log = RollingLog::open(path());
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(log->write("INFO", "ready", kThen).ok());
  ASSERT_TRUE(log->write("ERROR", "not ready", kThen + kSecond).ok());
  EXPECT_EQ(*file::read(path(), {}),
            "2025-04-23T12:00:00.123 [INFO]    ready\n2025-04-23T12:00:01.123 [ERROR]   not ready\n");
  struct stat st{};
  ASSERT_EQ(::stat(path().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0640U);
  auto again = RollingLog::open(path());
  ASSERT_TRUE(again->write("WARN", "goes on", kThen).ok());
  EXPECT_TRUE(file::read(path(), {})->ends_with(" [WARN]    goes on\n"));
}

TEST_F(RollingLogTest, RollsAndKeepsFive) {
  auto log = RollingLog::open(path(), 100);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(file::replace(folder + "/log/ProxyAgent.Connection.log.old.log", "another's").ok());
  for (std::int64_t i = 0; i < 30; ++i) {
    ASSERT_TRUE(log->write("INFO", "a line of some length: " + std::to_string(i), kThen + i * kSecond).ok());
  }
  const auto names = file::list(folder + "/log");
  ASSERT_EQ(names->size(), RollingLog::kMostFiles + 1);
  EXPECT_EQ(names->at(2).substr(0, 35), "ProxyAgent.log.2025-04-23T12.00.22.");
  EXPECT_TRUE(names->at(2).ends_with("-1745409622123456789.log"));
  std::string all;
  for (std::size_t i = 2; i < names->size(); ++i) {
    all += *file::read(folder + "/log/" + (*names)[i], {});
  }
  all += *file::read(path(), {});
  EXPECT_TRUE(all.ends_with(": 29\n"));
}

TEST_F(RollingLogTest, ALinkInItsPlaceIsRefused) {
  std::filesystem::create_directory(folder + "/log");
  std::filesystem::create_symlink(folder + "/elsewhere", path());
  EXPECT_FALSE(RollingLog::open(path()).ok());
  EXPECT_FALSE(std::filesystem::exists(folder + "/elsewhere"));
}

}  // namespace
}  // namespace msp
