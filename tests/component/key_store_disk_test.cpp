// SPDX-License-Identifier: Apache-2.0
// The agent's key store on a real file system that is full, or read-only: a tmpfs in a mount namespace of the test.
// Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

#include "channel/key_store.h"

namespace msp::channel {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kA = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
const std::string kB = "11111111-2222-4333-8444-555555555555";
const std::string kHex = "4a404e635266556a586e3272357538782f413f4428472b4b6250645367566b59";

protocol::KeyDocument key(const std::string& guid) {
  return {.guid = guid,
          .incarnation_id = 1,
          .issued = "2025-04-23T12:00:00Z",
          .key_hex = Secret::copy_of(std::string_view(kHex))};
}

class KeyStoreDisk : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(::mkdtemp(top.data()), nullptr);
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tmpfs", top.c_str(), "tmpfs", 0, "size=32k,mode=0755"), 0);
    keys.emplace(top + "/keys", top);
    const auto prepared = keys->prepare();
    ASSERT_TRUE(prepared.ok()) << prepared.error().text();
    ASSERT_TRUE(keys->save(key(kA)).ok());
  }
  void TearDown() override {
    ::umount(top.c_str());
    std::filesystem::remove(top);
  }
  // Names and bytes of the key directory: what a failure must not change.
  std::string content() const {
    std::string all;
    for (const auto& entry : std::filesystem::directory_iterator(top + "/keys")) {
      std::ifstream file(entry.path());
      all += entry.path().string() + "\n" + std::string{std::istreambuf_iterator<char>(file), {}} + "\n";
    }
    return all;
  }
  void expect_refused(int code, std::string_view remedy) {
    const std::string before = content();
    const auto saved = keys->save(key(kB));
    ASSERT_FALSE(saved.ok());
    EXPECT_EQ(saved.error().code, code);
    EXPECT_THAT(saved.error().text(), HasSubstr(remedy));
    EXPECT_THAT(saved.error().text(), HasSubstr(top + "/keys/" + kB + ".key"));
    EXPECT_THAT(saved.error().text(), Not(HasSubstr(kHex)));
    EXPECT_FALSE(keys->mark_latched().ok());
    EXPECT_EQ(content(), before) << "no part of the new file, nor a temporary one";
    EXPECT_TRUE(keys->load(kA).ok()) << "what was saved is still there";
    EXPECT_EQ(keys->load(kB).error().code, ENOENT);
  }

  std::string top = "/tmp/msp-key-disk-XXXXXX";
  std::optional<KeyStore> keys;
};

TEST_F(KeyStoreDisk, FullFileSystem) {
  {
    std::ofstream filler(top + "/filler", std::ios::binary);
    filler << std::string(64 << 10, 'x') << std::flush;
    EXPECT_FALSE(filler.good()) << "full";
  }
  expect_refused(ENOSPC, "free some space");
  std::filesystem::remove(top + "/filler");
  EXPECT_TRUE(keys->save(key(kB)).ok()) << "as soon as there is space";
  EXPECT_TRUE(keys->load(kB).ok());
}

TEST_F(KeyStoreDisk, ReadOnlyFileSystem) {
  ASSERT_EQ(::mount(nullptr, top.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  expect_refused(EROFS, "read-only");
  ASSERT_EQ(::mount(nullptr, top.c_str(), nullptr, MS_REMOUNT, nullptr), 0);
  EXPECT_TRUE(keys->save(key(kB)).ok()) << "as soon as it can be written";
}

}  // namespace
}  // namespace msp::channel
