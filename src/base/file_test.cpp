// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace msp::file {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string name = (std::filesystem::temp_directory_path() / "msp_file_XXXXXX").string();
    root_ = std::filesystem::canonical(::mkdtemp(name.data())).string();
  }
  ~FileTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  static mode_t mode_of(const std::string& path) {
    struct stat st{};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st.st_mode & 07777;
  }
  std::string root_;
};

TEST_F(FileTest, ReplaceHasModeAndContent) {
  const mode_t old = ::umask(0077);
  ASSERT_TRUE(replace(path("a"), "one"));
  EXPECT_EQ(mode_of(path("a")), 0600U);
  ASSERT_TRUE(replace(path("a"), "two", {.mode = 0640, .durable = false, .group = ::getegid()}));
  ::umask(old);
  EXPECT_EQ(mode_of(path("a")), 0640U);
  EXPECT_EQ(*read(path("a"), {}), "two");
  EXPECT_EQ(*list(root_), std::vector<std::string>{"a"});
}

TEST_F(FileTest, ReplaceOverwritesWhatACrashOrALinkLeft) {
  ASSERT_TRUE(replace(path("victim"), "victim"));
  ASSERT_EQ(::symlink("victim", path(".a.tmp").c_str()), 0);
  ASSERT_EQ(::symlink("victim", path("a").c_str()), 0);
  ASSERT_TRUE(replace(path("a"), "new"));
  EXPECT_EQ(*read(path("a"), {}), "new");
  EXPECT_EQ(*read(path("victim"), {}), "victim");
  EXPECT_EQ(*list(root_), (std::vector<std::string>{"a", "victim"}));
}

TEST_F(FileTest, ReplaceFailsWithoutATrace) {
  EXPECT_EQ(replace(path("no/a"), "x").error().code, ENOENT);
  ASSERT_TRUE(ensure_directory(path("a"), 0700));
  EXPECT_FALSE(replace(path("a"), "x"));
  EXPECT_EQ(*list(root_), std::vector<std::string>{"a"});
  ASSERT_EQ(::symlink("a", path("link").c_str()), 0);
  const auto linked = replace(path("link/x"), "x");
  ASSERT_FALSE(linked);
  EXPECT_NE(linked.error().text().find("symbolic link"), std::string::npos) << linked.error().text();
}

TEST_F(FileTest, RenameReplacesAFileAndMovesADirectory) {
  ASSERT_TRUE(replace(path("new"), "new"));
  ASSERT_TRUE(replace(path("a"), "old"));
  ASSERT_TRUE(rename(path("new"), path("a")));
  EXPECT_EQ(*read(path("a"), {}), "new");
  ASSERT_TRUE(ensure_directory(path("d"), 0700));
  ASSERT_TRUE(rename(path("d"), path("e")));
  EXPECT_EQ(*list(root_), (std::vector<std::string>{"a", "e"}));
  EXPECT_EQ(rename(path("d"), path("a")).error().code, ENOENT);
  EXPECT_EQ(rename(path("e"), path("a")).error().code, ENOTDIR);
}

TEST_F(FileTest, ReadChecksTheFile) {
  ASSERT_TRUE(replace(path("key"), "secret"));
  EXPECT_EQ(read_secret(path("key"), private_state())->reveal(), "secret");
  EXPECT_EQ(read(path("missing"), private_state()).error().code, ENOENT);
  EXPECT_FALSE(read(path("key"), private_state(), 5));
  EXPECT_TRUE(read(path("key"), private_state(), 6));

  ASSERT_EQ(::symlink("key", path("link").c_str()), 0);
  EXPECT_FALSE(read(path("link"), private_state()));
  EXPECT_TRUE(read(path("link"), configuration()));

  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(read(path("fifo"), private_state()));
  EXPECT_FALSE(read(root_, private_state()));

  ASSERT_EQ(::link(path("key").c_str(), path("second").c_str()), 0);
  EXPECT_NE(read(path("key"), private_state()).error().message.find("2 names"), std::string::npos);
  ASSERT_TRUE(remove(path("second")));
  ASSERT_TRUE(remove(path("second")));
  EXPECT_TRUE(read(path("key"), private_state()));
}

TEST_F(FileTest, ReadChecksModes) {
  ASSERT_TRUE(replace(path("f"), "x", {.mode = 0644, .durable = false}));
  EXPECT_TRUE(read(path("f"), configuration()));
  const auto readable = read(path("f"), private_state());
  ASSERT_FALSE(readable);
  EXPECT_EQ(readable.error().text(), path("f") + " has mode 0644: others can read it (chmod 0600 " + path("f") + ")");
  ASSERT_EQ(::chmod(path("f").c_str(), 0664), 0);
  EXPECT_NE(read(path("f"), configuration()).error().text().find("others can change it (chmod 0644"),
            std::string::npos);
  ASSERT_EQ(::chmod(path("f").c_str(), 0600), 0);
  ASSERT_EQ(::chmod(root_.c_str(), 0770), 0);
  EXPECT_NE(read(path("f"), private_state()).error().message.find(root_ + " has mode 0770"), std::string::npos);
}

TEST_F(FileTest, ReadChecksOwners) {
  if (::geteuid() != 0) {
    FAIL() << "run it as root";
  }
  ASSERT_TRUE(replace(path("f"), "x", {.mode = 0600, .durable = false, .owner = 12345}));
  const auto foreign = read(path("f"), private_state());
  ASSERT_FALSE(foreign);
  EXPECT_NE(foreign.error().text().find("belongs to user 12345, not 0"), std::string::npos);
  EXPECT_TRUE(read(path("f"), {}));
}

TEST_F(FileTest, OpenForAppend) {
  {
    const auto fd = open_for_append(path("log"), 0640);
    ASSERT_TRUE(fd) << fd.error().text();
    EXPECT_TRUE(write_all(*fd, "a"));
  }
  const auto again = open_for_append(path("log"), 0600);
  ASSERT_TRUE(again);
  EXPECT_EQ(mode_of(path("log")), 0600U);
  EXPECT_TRUE(write_all(*again, "b"));
  EXPECT_EQ(*read(path("log"), private_state()), "ab");
  ASSERT_EQ(::symlink("log", path("link").c_str()), 0);
  EXPECT_FALSE(open_for_append(path("link"), 0600));
  ASSERT_EQ(::symlink("missing", path("dangling").c_str()), 0);
  EXPECT_FALSE(open_for_append(path("dangling"), 0600));
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  EXPECT_FALSE(open_for_append(path("fifo"), 0600));
  ASSERT_EQ(::link(path("log").c_str(), path("second").c_str()), 0);
  EXPECT_FALSE(open_for_append(path("log"), 0600));
}

TEST_F(FileTest, EnsureDirectory) {
  const mode_t old = ::umask(0);
  ASSERT_TRUE(ensure_directory(path("a/b/keys/"), 0700));
  ::umask(old);
  EXPECT_EQ(mode_of(path("a")), 0755U);
  EXPECT_EQ(mode_of(path("a/b/keys")), 0700U);
  EXPECT_TRUE(ensure_directory(path("a/b/keys"), 0700));
  EXPECT_TRUE(ensure_directory(path("a/b/keys"), 0750)) << "stricter than asked";
  ASSERT_EQ(::chmod(path("a/b/keys").c_str(), 0770), 0);
  EXPECT_NE(ensure_directory(path("a/b/keys"), 0700).error().text().find("has mode 0770, expected 0700"),
            std::string::npos);
  ASSERT_EQ(::symlink("a", path("link").c_str()), 0);
  EXPECT_FALSE(ensure_directory("/proc/no-such/a", 0755)) << "where nothing can be made, although it is not there";
  EXPECT_FALSE(ensure_directory(path("link"), 0755));
  EXPECT_FALSE(ensure_directory(path("link/b"), 0755));
  ASSERT_TRUE(replace(path("file"), "x"));
  EXPECT_FALSE(ensure_directory(path("file"), 0755));
  EXPECT_FALSE(ensure_directory(path("a"), 0755, ::geteuid() + 1));
}

TEST_F(FileTest, AFullDiskKeepsTheOldContent) {
  const std::string disk = path("disk");
  ASSERT_TRUE(ensure_directory(disk, 0700));
  if (::geteuid() != 0 || ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) {
    FAIL() << "needs root and tmpfs: run it as root";
  }
  const auto first = replace(disk + "/state", "old");
  const auto full = replace(disk + "/state", std::string(1 << 20, 'x'));
  const auto content = read(disk + "/state", {});
  const auto names = list(disk);
  ::umount2(disk.c_str(), MNT_DETACH);
  EXPECT_TRUE(first);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ENOSPC);
  EXPECT_NE(full.error().text().find("free some space"), std::string::npos);
  EXPECT_EQ(*content, "old");
  EXPECT_EQ(*names, std::vector<std::string>{"state"});
}

}  // namespace
}  // namespace msp::file
