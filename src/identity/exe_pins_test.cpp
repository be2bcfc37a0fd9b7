// SPDX-License-Identifier: Apache-2.0
#include "identity/exe_pins.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace msp::identity {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
namespace fs = std::filesystem;

/// Says of each file its inode number, and what time the test has set.
class FakeFiles final : public KernelFiles {
 public:
  std::uint64_t now_ns = 100;
  bool broken = false;

  Result<KernelFile> look_at(int fd) override {
    struct stat seen{};
    if (broken || ::fstat(fd, &seen) != 0) {
      return Error{.source = Source::kKernel, .message = "no such program type", .hint = {}, .code = 0};
    }
    return KernelFile{.inode = seen.st_ino, .seen_ns = now_ns};
  }
};

class ExePinsTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/exe_pins_XXXXXX";
    root_ = ::mkdtemp(name);
    fs::create_directories(root_ / "usr/bin");
    fs::create_symlink("usr/bin", root_ / "bin");
    write("/usr/bin/tool");
    pins_.emplace(files_, root_.string());
  }
  void TearDown() override { fs::remove_all(root_); }

  std::uint64_t write(const std::string& path) {
    const fs::path fresh = root_ / "fresh";
    std::ofstream(fresh) << path;
    fs::rename(fresh, fs::path(root_.string() + path));
    return inode(path);
  }
  std::uint64_t inode(const std::string& path) {
    struct stat seen{};
    EXPECT_EQ(::stat((root_.string() + path).c_str(), &seen), 0);
    return seen.st_ino;
  }
  PinTable::Found find(std::uint64_t inode, std::uint64_t time_ns, std::vector<std::string>* paths = nullptr) {
    std::vector<std::string> found;
    const auto out = pins_->table(0)->find(inode, time_ns, found);
    if (paths != nullptr) {
      *paths = found;
    } else {
      EXPECT_EQ(found.empty(), out != PinTable::Found::kPinned);
    }
    return out;
  }

  fs::path root_;
  FakeFiles files_;
  std::optional<ExePins> pins_;
};

TEST_F(ExePinsTest, NothingWantedIsIdle) {
  EXPECT_FALSE(pins_->refresh());
  const auto table = pins_->table(7);
  EXPECT_TRUE(table->idle());
  EXPECT_EQ(table->ticket(), 7U);
}

TEST_F(ExePinsTest, OnlyARecordYoungerThanThePinMatches) {
  pins_->want({"/usr/bin/tool"});
  EXPECT_TRUE(pins_->refresh());
  const std::uint64_t tool = inode("/usr/bin/tool");
  std::vector<std::string> paths;
  EXPECT_EQ(find(tool, 101, &paths), PinTable::Found::kPinned);
  EXPECT_THAT(paths, ElementsAre("/usr/bin/tool"));
  EXPECT_EQ(find(tool, 100), PinTable::Found::kYoung) << "at the same moment is not before";
  EXPECT_EQ(find(tool, 99), PinTable::Found::kYoung);
  EXPECT_EQ(find(tool + 1, 101), PinTable::Found::kNone);
  EXPECT_EQ(find(0, 101), PinTable::Found::kNone) << "no executable is never one";
  EXPECT_FALSE(pins_->refresh()) << "nothing is new";
}

TEST_F(ExePinsTest, TwoPathsOfOneFile) {
  pins_->want({"/bin/tool", "/usr/bin/tool"});
  pins_->refresh();
  std::vector<std::string> paths;
  EXPECT_EQ(find(inode("/usr/bin/tool"), 101, &paths), PinTable::Found::kPinned);
  EXPECT_THAT(paths, UnorderedElementsAre("/bin/tool", "/usr/bin/tool"));
}

TEST_F(ExePinsTest, APathThatIsNamedLaterIsKnownByTheFileThatWasHeldAllAlong) {
  pins_->want({"/usr/bin/tool"});
  pins_->refresh();
  files_.now_ns = 200;
  pins_->want({"/bin/tool", "/usr/bin/tool"});
  pins_->refresh();
  std::vector<std::string> paths;
  EXPECT_EQ(find(inode("/usr/bin/tool"), 150, &paths), PinTable::Found::kPinned);
  EXPECT_THAT(paths, UnorderedElementsAre("/bin/tool", "/usr/bin/tool"));
  pins_->want({"/bin/tool"});
  EXPECT_EQ(find(inode("/usr/bin/tool"), 150), PinTable::Found::kYoung) << "alone, it proves nothing";
}

TEST_F(ExePinsTest, ALinkCannotLeadOutOfTheRoot) {
  const std::uint64_t outside = [] {
    struct stat seen{};
    ::stat("/etc/passwd", &seen);
    return static_cast<std::uint64_t>(seen.st_ino);
  }();
  fs::create_symlink("/etc/passwd", root_ / "usr/bin/leak");
  pins_->want({"/usr/bin/leak"});
  EXPECT_FALSE(pins_->refresh());
  EXPECT_EQ(find(outside, 101), PinTable::Found::kNone);
}

TEST_F(ExePinsTest, WhatCanBeNoExecutablesPathIsNotPinned) {
  fs::create_directory(root_ / "usr/lib");
  ASSERT_EQ(::mkfifo((root_ / "usr/bin/fifo").c_str(), 0600), 0);
  pins_->want(
      {"usr/bin/tool", "/usr/lib/../bin/tool", "/usr/bin", "/usr/bin/fifo", "/usr/bin/missing", "/usr/bin/..", ""});
  EXPECT_FALSE(pins_->refresh());
  EXPECT_EQ(pins_->table(0)->size(), 0U);
}

TEST_F(ExePinsTest, AnUpgradeKeepsTheOldFileForWhoStillRunsIt) {
  pins_->want({"/usr/bin/tool"});
  pins_->refresh();
  const std::uint64_t old = inode("/usr/bin/tool");
  files_.now_ns = 200;
  const std::uint64_t fresh = write("/usr/bin/tool");
  ASSERT_NE(fresh, old) << "the old one is held, so its number is not free";
  EXPECT_EQ(find(fresh, 150), PinTable::Found::kNone);
  EXPECT_TRUE(pins_->refresh());
  EXPECT_EQ(find(old, 150), PinTable::Found::kPinned);
  EXPECT_EQ(find(fresh, 150), PinTable::Found::kYoung);
  EXPECT_EQ(find(fresh, 201), PinTable::Found::kPinned);
  fs::remove(root_ / "usr/bin/tool");
  EXPECT_FALSE(pins_->refresh());
  EXPECT_EQ(find(fresh, 300), PinTable::Found::kPinned);
}

TEST_F(ExePinsTest, AFileThatComesBackCountsFromThen) {
  pins_->want({"/usr/bin/tool"});
  pins_->refresh();
  const std::uint64_t first = inode("/usr/bin/tool");
  fs::create_hard_link(root_ / "usr/bin/tool", root_ / "usr/bin/kept");
  write("/usr/bin/tool");
  files_.now_ns = 200;
  pins_->refresh();
  fs::rename(root_ / "usr/bin/kept", root_ / "usr/bin/tool");
  files_.now_ns = 300;
  EXPECT_TRUE(pins_->refresh());
  EXPECT_EQ(find(first, 250), PinTable::Found::kYoung);
  EXPECT_EQ(find(first, 301), PinTable::Found::kPinned);
}

TEST_F(ExePinsTest, KeepsAFewOldFilesOnly) {
  pins_->want({"/usr/bin/tool"});
  const std::uint64_t first = inode("/usr/bin/tool");
  pins_->refresh();
  for (std::size_t i = 0; i < ExePins::kKeptPerPath; ++i) {
    EXPECT_EQ(find(first, 1000), PinTable::Found::kPinned);
    write("/usr/bin/tool");
    pins_->refresh();
  }
  EXPECT_EQ(pins_->table(0)->size(), ExePins::kKeptPerPath);
  EXPECT_EQ(find(first, 1000), PinTable::Found::kNone);
}

TEST_F(ExePinsTest, PathsThatNoRuleNamesAreLetGo) {
  pins_->want({"/usr/bin/tool"});
  pins_->refresh();
  const auto before = pins_->table(0);
  pins_->want({});
  EXPECT_TRUE(pins_->table(0)->idle());
  EXPECT_EQ(pins_->table(0)->size(), 0U);
  std::vector<std::string> paths;
  EXPECT_EQ(before->find(inode("/usr/bin/tool"), 101, paths), PinTable::Found::kPinned)
      << "a table that is still in use holds what it names";
}

TEST_F(ExePinsTest, WithoutTheKernelsWordNothingMatches) {
  files_.broken = true;
  pins_->want({"/usr/bin/tool"});
  EXPECT_FALSE(pins_->refresh());
  EXPECT_EQ(find(inode("/usr/bin/tool"), 101), PinTable::Found::kNone);
  EXPECT_FALSE(pins_->table(0)->idle());
}

TEST_F(ExePinsTest, WithoutTheRootNothingMatches) {
  ExePins lost(files_, root_.string() + "/nowhere");
  lost.want({"/usr/bin/tool"});
  EXPECT_FALSE(lost.refresh());
  EXPECT_EQ(lost.table(0)->size(), 0U);
}

}  // namespace
}  // namespace msp::identity
