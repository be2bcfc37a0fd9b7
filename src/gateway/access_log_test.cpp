// SPDX-License-Identifier: Apache-2.0
#include "gateway/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace msp::gateway {
namespace {

class AccessLogTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "access_log_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string content() const {
    std::ifstream in(path());
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  std::string path() const { return directory_ + "/access.jsonl"; }
  std::string directory_;
};

TEST_F(AccessLogTest, WritesEveryLineInOrder) {
  std::string expected;
  {
    auto log = AccessLog::open(path(), 4096);
    ASSERT_TRUE(log) << log.error().text();
    for (int i = 0; i < 2000; ++i) {
      const std::string line = "line " + std::to_string(i) + std::string(static_cast<std::size_t>(i % 50), 'x');
      std::uint64_t lost = (*log)->lost();
      (*log)->append(line, true);
      while ((*log)->lost() != lost) {  // full: the writer needs a moment
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        lost = (*log)->lost();
        (*log)->append(line, true);
      }
      expected += line + "\n";
    }
  }
  EXPECT_EQ(content(), expected);
}

TEST_F(AccessLogTest, WakesASleepingWriter) {
  auto log = AccessLog::open(path(), 4096);
  ASSERT_TRUE(log) << log.error().text();
  for (int round = 0; round < 20; ++round) {
    (*log)->append("one", false);
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 5 * 5));
  }
  for (int wait = 0; wait < 100 && content().size() < 80; ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(content().size(), 80U);
}

TEST_F(AccessLogTest, KeepsTheLastQuarterForRefusals) {
  // A full pipe holds the writer, so that nothing leaves the ring.
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  const Fd pipe(::open(path().c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(pipe);
  const std::string filler(4096, 'f');
  while (::write(pipe.get(), filler.data(), filler.size()) > 0) {
  }
  {
    auto log = AccessLog::open(path(), 400);
    ASSERT_TRUE(log) << log.error().text();
    const std::string line(99, 's');
    for (int i = 0; i < 3; ++i) {
      (*log)->append(line, false);
    }
    (*log)->append(line, false);
    EXPECT_EQ((*log)->lost(), 1U);
    (*log)->append(std::string(99, 'r'), true);
    EXPECT_EQ((*log)->lost(), 1U);
    (*log)->append("r", true);
    EXPECT_EQ((*log)->lost(), 2U);
    std::string drained(1 << 17, ' ');
    while (::read(pipe.get(), drained.data(), drained.size()) > 0) {
    }
  }
}

TEST_F(AccessLogTest, RefusesAPathThatCannotBeOpened) {
  auto log = AccessLog::open(directory_ + "/missing/access.jsonl");
  ASSERT_FALSE(log);
  EXPECT_NE(log.error().text().find("missing/access.jsonl"), std::string::npos);
}

TEST_F(AccessLogTest, IsNotReadableForOthers) {
  auto log = AccessLog::open(path());
  ASSERT_TRUE(log);
  struct stat status{};
  ASSERT_EQ(::stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07, 0U);
}

}  // namespace
}  // namespace msp::gateway
