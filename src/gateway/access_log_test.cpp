// SPDX-License-Identifier: Apache-2.0
#include "gateway/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
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

// Fills the disk under the log, makes room again and returns what the operator was told meanwhile. Each line is 100
// bytes with its feed, which no page size is a multiple of: the last one does not fit whole.
class FullDisk : public AccessLogTest {
 protected:
  void SetUp() override {
    AccessLogTest::SetUp();
    mounted_ = ::geteuid() == 0 && ::mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=64k,mode=0700") == 0;
    ASSERT_TRUE(mounted_) << "needs root and tmpfs: run it as root";
  }
  void TearDown() override {
    if (mounted_) {
      ::umount2(directory_.c_str(), MNT_DETACH);
    }
    AccessLogTest::TearDown();
  }
  void fill_and_make_room(AccessLog& log) {
    const std::string line = "{" + std::string(97, 'x') + "}";
    for (int i = 0; i < 5000 && log.lost() == 0; ++i) {
      log.append(line, true);
      if (i % 100 == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(15));
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ASSERT_GT(log.lost(), 0U);
    ASSERT_EQ(::mount("tmpfs", directory_.c_str(), "tmpfs", MS_REMOUNT, "size=4m,mode=0700"), 0);
    for (int i = 0; i < 3; ++i) {
      log.append(line, true);
    }
    lost_ = log.lost();
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> out;
    std::istringstream text(content());
    for (std::string line; std::getline(text, line);) {
      out.push_back(line);
    }
    return out;
  }

  bool mounted_ = false;
  std::uint64_t lost_ = 0;
};

TEST_F(FullDisk, LeavesNoHalfLineAndSaysWhatIsLost) {
  testing::internal::CaptureStderr();
  {
    auto log = AccessLog::open(path());
    ASSERT_TRUE(log) << log.error().text();
    fill_and_make_room(**log);
  }
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_NE(told.find("cannot be written: No space left on device"), std::string::npos) << told;
  EXPECT_NE(told.find(std::to_string(lost_) + " lines of the access log were lost"), std::string::npos) << told;
  EXPECT_EQ(content().back(), '\n');
  for (const std::string& line : lines()) {
    EXPECT_EQ(line.size(), 99U) << line;
  }
}

// Standard output may be shared with other writers: there the half line stays and is ended.
TEST_F(FullDisk, EndsAHalfLineThatIsNotOursToCut) {
  testing::internal::CaptureStderr();
  const Fd before(::dup(STDOUT_FILENO));
  {
    const Fd file(::open(path().c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::dup2(file.get(), STDOUT_FILENO), STDOUT_FILENO);
    auto log = AccessLog::open("");
    ::dup2(before.get(), STDOUT_FILENO);
    ASSERT_TRUE(log) << log.error().text();
    fill_and_make_room(**log);
  }
  testing::internal::GetCapturedStderr();
  std::size_t halves = 0;
  for (const std::string& line : lines()) {
    halves += line.size() == 99 ? 0 : 1;
    EXPECT_LE(line.size(), 99U) << line;
  }
  EXPECT_EQ(halves, 1U);
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
