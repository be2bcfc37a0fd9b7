// SPDX-License-Identifier: Apache-2.0
#include "audit/log_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "base/file.h"

namespace msp::audit {
namespace {

/// A file of at most so many bytes can be written by this process: what goes beyond fails as on a full disk.
class MostBytes {
 public:
  explicit MostBytes(rlim_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &now), 0);
  }
  ~MostBytes() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

/// An empty disk that hides what was at this place before.
class FreshDisk {
 public:
  explicit FreshDisk(std::string at) : at_(std::move(at)) {
    mounted_ = ::geteuid() == 0 && ::mount("tmpfs", at_.c_str(), "tmpfs", 0, "size=64k,mode=0700") == 0;
    EXPECT_TRUE(mounted_) << "needs root and tmpfs: run it as root";
  }
  FreshDisk(const FreshDisk&) = delete;
  FreshDisk& operator=(const FreshDisk&) = delete;
  ~FreshDisk() {
    if (mounted_) {
      ::umount2(at_.c_str(), MNT_DETACH);
    }
  }

 private:
  std::string at_;
  bool mounted_ = false;
};

ino_t inode_of(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_ino;
}

class LogFileTest : public testing::Test {
 protected:
  LogFileTest() {
    std::string name = (std::filesystem::temp_directory_path() / "msp_log_file_XXXXXX").string();
    root_ = std::filesystem::canonical(::mkdtemp(name.data())).string();
  }
  ~LogFileTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  std::string path(const char* name = "log") const { return root_ + "/" + name; }
  std::string content(const char* name = "log") const { return *file::read(path(name), {}); }
  LogFile open(std::uint64_t rotate_bytes = 1 << 20) const {
    LogFile out({.path = path(), .mode = 0600, .rotate_bytes = rotate_bytes, .keep = 2});
    EXPECT_TRUE(out.open());
    return out;
  }
  static Result<void> append(LogFile& to, std::string_view lines, bool look = false) {
    return to.append(lines, look, [] { return std::string("opening\n"); });
  }

  std::string root_;
};

TEST_F(LogFileTest, FollowsAFileThatWasMovedAwayWhenItLooks) {
  LogFile log = open();
  ASSERT_TRUE(append(log, "1\n"));
  std::filesystem::rename(path(), path("moved"));
  ASSERT_TRUE(append(log, "2\n"));
  EXPECT_EQ(content("moved"), "1\n2\n");
  ASSERT_TRUE(append(log, "3\n", true));
  ASSERT_TRUE(append(log, "4\n"));
  EXPECT_EQ(content("moved"), "1\n2\n");
  EXPECT_EQ(content(), "3\n4\n");
}

// Each disk numbers its files anew: a log on a disk that was put there since may have the number of the one before.
TEST_F(LogFileTest, FollowsToAnotherDiskWhereTheFileHasTheSameNumber) {
  std::optional<FreshDisk> before(root_);
  LogFile log = open();
  ASSERT_TRUE(append(log, "1\n"));
  const ino_t number = inode_of(path());
  std::optional<FreshDisk> now(root_);
  ASSERT_TRUE(file::open_for_append(path(), 0600));
  ASSERT_EQ(inode_of(path()), number) << "else this shows nothing";
  ASSERT_TRUE(append(log, "2\n", true));
  EXPECT_EQ(content(), "2\n");
  now.reset();
  EXPECT_EQ(content(), "1\n");
  before.reset();
}

TEST_F(LogFileTest, TheFirstLineOfTheNextFileIsMadeWhenItIsDue) {
  LogFile log = open(8);
  ASSERT_TRUE(append(log, "1234567\n"));
  EXPECT_EQ(log.rotations(), 0U);
  ASSERT_TRUE(append(log, "2\n"));
  EXPECT_EQ(log.rotations(), 1U);
  EXPECT_EQ(content("log.1"), "1234567\n");
  EXPECT_EQ(content(), "opening\n2\n");
}

// As logrotate's copytruncate does it.
TEST_F(LogFileTest, AFileThatSomebodyCutIsNotTakenForAFullOne) {
  LogFile log = open(8);
  ASSERT_TRUE(append(log, "1234567\n"));
  std::filesystem::resize_file(path(), 0);
  ASSERT_TRUE(append(log, "2\n"));
  EXPECT_EQ(log.rotations(), 0U);
  EXPECT_EQ(content(), "2\n");
}

TEST_F(LogFileTest, WhatDidNotFitLeavesNoPart) {
  LogFile log = open();
  ASSERT_TRUE(append(log, "12345\n"));
  {
    const MostBytes full(16);
    EXPECT_FALSE(append(log, "this is longer than that\n"));
    EXPECT_EQ(content(), "12345\n");
    // Nor where the file is another one than was looked at: longer, shorter.
    std::filesystem::resize_file(path(), 0);
    EXPECT_FALSE(append(log, "this is longer than that\n"));
    EXPECT_EQ(content(), "");
    ASSERT_TRUE(file::replace(path("more"), "somebody's\n"));
    std::filesystem::copy_file(path("more"), path(), std::filesystem::copy_options::overwrite_existing);
    EXPECT_FALSE(append(log, "this is longer than that\n"));
    EXPECT_EQ(content(), "somebody's\n");
  }
  ASSERT_TRUE(append(log, "6\n"));
  EXPECT_EQ(content(), "somebody's\n6\n");
}

}  // namespace
}  // namespace msp::audit
