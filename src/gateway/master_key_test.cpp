// SPDX-License-Identifier: Apache-2.0
// Where the master key comes from, and what is not believed: the credential is held to what the file is held to.
#include "gateway/master_key.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/support/log_lines.h"

namespace msp::gateway {
namespace {

using testing::HasSubstr;

const std::string kOfCredential(64, 'c');
const std::string kOfFile(64, 'f');

class MasterKey : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "master_key_XXXXXX";
    top_ = std::filesystem::canonical(::mkdtemp(pattern.data())).string();
    config_.state_directory = top_ + "/state";
    config_.master_key_file = file();
    config_.credentials_directory = top_ + "/credentials";
    std::filesystem::create_directory(config_.state_directory);
    std::filesystem::create_directory(config_.credentials_directory);
    ASSERT_EQ(::chmod(config_.credentials_directory.c_str(), 0700), 0);
  }
  void TearDown() override { std::filesystem::remove_all(top_); }
  std::string file() const { return top_ + "/state/master.key"; }
  std::string credential() const { return top_ + "/credentials/master-key"; }

  static void write(const std::string& path, const std::string& text, mode_t mode) {
    std::filesystem::remove_all(path);
    std::ofstream(path) << text;
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
  }
  /// Its digits, or what is wrong.
  std::string loaded(bool first_start = false) const {
    auto key = load_master_key(config_, first_start);
    return key ? std::string(key->to_hex().reveal()) : key.error().text();
  }

  std::string top_;
  Config config_;
};

TEST_F(MasterKey, TheCredentialComesBeforeTheFile) {
  write(file(), kOfFile, 0600);
  EXPECT_EQ(loaded(), kOfFile) << "no such credential";
  write(credential(), kOfCredential + "\n", 0400);
  EXPECT_EQ(loaded(), kOfCredential);
  std::filesystem::remove(file());
  EXPECT_EQ(loaded(true), kOfCredential);
  EXPECT_FALSE(std::filesystem::exists(file())) << "no file is made beside it";
  config_.credentials_directory.clear();
  EXPECT_THAT(loaded(), HasSubstr("its credential"));
}

TEST_F(MasterKey, AFileIsMadeWhereThereIsNoCredential) {
  EXPECT_EQ(loaded(true).size(), 64U);
  EXPECT_TRUE(std::filesystem::exists(file()));
  EXPECT_FALSE(std::filesystem::exists(credential()));
}

TEST_F(MasterKey, TwoThatAreNamedAreOneTooMany) {
  write(file(), kOfFile, 0600);
  write(credential(), kOfCredential, 0400);
  config_.names_master_key_file = true;
  EXPECT_THAT(loaded(), HasSubstr("two master keys"));
  std::filesystem::remove(credential());
  EXPECT_EQ(loaded(), kOfFile);
}

TEST_F(MasterKey, TheDirectoryIsAbsolute) {
  config_.credentials_directory = "credentials";
  EXPECT_THAT(loaded(), HasSubstr("CREDENTIALS_DIRECTORY"));
}

/// What either place may hold and is not believed; the other place never stands in for it.
TEST_F(MasterKey, WhatIsNoPrivateFileWithAKeyIsRefusedInEitherPlace) {
  struct Case {
    const char* what;
    const char* said;
    std::function<void(const std::string& path, const std::string& digits)> make;
  };
  const std::vector<Case> cases{
      {"readable by all", "chmod", [](const auto& path, const auto& digits) { write(path, digits, 0444); }},
      {"writable by its group", "chmod", [](const auto& path, const auto& digits) { write(path, digits, 0620); }},
      {"of another owner", "belongs to user",
       [](const auto& path, const auto& digits) {
         write(path, digits, 0400);
         ASSERT_TRUE(::geteuid() != 0 || ::chown(path.c_str(), 12001, 12001) == 0);
       }},
      {"with two names", "2 names",
       [this](const auto& path, const auto& digits) {
         write(path, digits, 0400);
         std::filesystem::create_hard_link(path, top_ + "/second");
       }},
      {"a symbolic link", "link",
       [this](const auto& path, const auto& digits) {
         std::filesystem::remove_all(path);
         write(top_ + "/elsewhere", digits, 0400);
         std::filesystem::create_symlink(top_ + "/elsewhere", path);
       }},
      {"a directory", "regular file",
       [](const auto& path, const auto&) {
         std::filesystem::remove_all(path);
         std::filesystem::create_directory(path);
       }},
      {"a pipe", "regular file",
       [](const auto& path, const auto&) {
         std::filesystem::remove_all(path);
         ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
       }},
      {"empty", "64 hex digits", [](const auto& path, const auto&) { write(path, "", 0400); }},
      {"short", "64 hex digits", [](const auto& path, const auto&) { write(path, std::string(62, 'a'), 0400); }},
      {"long", "64 hex digits", [](const auto& path, const auto&) { write(path, std::string(66, 'a'), 0400); }},
      {"no hex", "64 hex digits", [](const auto& path, const auto&) { write(path, std::string(64, 'g'), 0400); }},
      {"far too long", "256 bytes", [](const auto& path, const auto&) { write(path, std::string(300, 'a'), 0400); }},
  };
  for (const bool of_credential : {true, false}) {
    const std::string& path = of_credential ? credential() : file();
    if (of_credential) {
      write(file(), kOfFile, 0600);
    } else {
      std::filesystem::remove(credential());
    }
    for (const Case& one : cases) {
      if (std::string_view(one.what) == "of another owner" && ::geteuid() != 0) {
        continue;  // the privileged run has it
      }
      SCOPED_TRACE(std::string(one.what) + ", " + path);
      std::filesystem::remove(top_ + "/second");
      const std::string good = of_credential ? kOfCredential : kOfFile;
      one.make(path, good);
      EXPECT_THAT(loaded(), HasSubstr(one.said));
      write(path, good, 0400);
      std::filesystem::remove(top_ + "/second");
      EXPECT_EQ(loaded(), good) << "mended";
    }
  }
}

TEST_F(MasterKey, OneThatIsMadeIsSaidSo) {
  test::LogLines said;
  loaded(true);
  EXPECT_THAT(said.text(), HasSubstr("the master key was made: " + file() + "\nkeep a copy"));
  said.clear();
  loaded();
  EXPECT_EQ(said.text(), "") << "the one that is there";
}

TEST_F(MasterKey, ACredentialForAnotherUserShowsAsItsGroups) {
  write(credential(), kOfCredential, 0440);
  EXPECT_EQ(loaded(), kOfCredential);
  std::filesystem::remove(credential());
  write(file(), kOfFile, 0440);
  EXPECT_THAT(loaded(), HasSubstr("chmod")) << "a file has no such reason";
}

TEST_F(MasterKey, ADirectoryThatOthersMayWriteToIsNotBelieved) {
  write(credential(), kOfCredential, 0400);
  ASSERT_EQ(::chmod(config_.credentials_directory.c_str(), 0777), 0);
  EXPECT_THAT(loaded(), HasSubstr("credentials"));
}

}  // namespace
}  // namespace msp::gateway
