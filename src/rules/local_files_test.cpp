// SPDX-License-Identifier: Apache-2.0
#include "rules/local_files.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "base/file.h"

namespace msp::rules {
namespace {

class LocalDirectoryTest : public testing::Test {
 protected:
  LocalDirectoryTest() {
    std::string name = (std::filesystem::temp_directory_path() / "msp_local_XXXXXX").string();
    root_ = std::filesystem::canonical(::mkdtemp(name.data())).string();
    directory_ = root_ + "/rules";
    std::filesystem::create_directory(directory_);
    ::chmod(directory_.c_str(), 0755);
  }
  ~LocalDirectoryTest() override { std::filesystem::remove_all(root_); }

  std::string put(const std::string& name, const std::string& text) const {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << text;
    ::chmod(path.c_str(), 0644);
    return path;
  }

  std::string root_;
  std::string directory_;
};

TEST_F(LocalDirectoryTest, MissingFilesAndDirectoriesAreMissing) {
  EXPECT_EQ(LocalDirectory(directory_).load(Service::kImds).state, LocalRules::State::kMissing);
  EXPECT_EQ(LocalDirectory(directory_ + "/none").load(Service::kImds).state, LocalRules::State::kMissing);
}

TEST_F(LocalDirectoryTest, EachServiceHasItsFile) {
  put("IMDS_Rules.json", R"({"id":"i"})");
  put("WireServer_Rules.json", R"({"id":"w"})");
  EXPECT_EQ(LocalDirectory(directory_).load(Service::kImds).file.id, "i");
  EXPECT_EQ(LocalDirectory(directory_).load(Service::kWireServer).file.id, "w");
}

TEST_F(LocalDirectoryTest, ARewriteIsSeenAtTheNextLoad) {
  LocalDirectory directory(directory_);
  put("IMDS_Rules.json", R"({"id":"a"})");
  EXPECT_EQ(directory.load(Service::kImds).file.id, "a");
  put("IMDS_Rules.json", R"({"id":"b"})");
  EXPECT_EQ(directory.load(Service::kImds).file.id, "b");
}

// What the tools take, the agent takes.
TEST_F(LocalDirectoryTest, AFileMayBeAsLargeAsAnyTextWithRules) {
  std::string text = R"({"id":"i","rules":{"privileges":[)";
  for (int i = 0; i < 60'000; ++i) {
    text += fmt::format(R"({}{{"name":"privilege-{}","path":"/metadata/some/path/{}","queryParameters":{{"a":"b"}}}})",
                        i == 0 ? "" : ",", i, i);
  }
  text += R"(]},"unknown":)" + std::string(100, '[') + std::string(100, ']') + "}";
  ASSERT_GT(text.size(), file::kMaxFile);
  put("IMDS_Rules.json", text);
  const LocalRules got = LocalDirectory(directory_).load(Service::kImds);
  ASSERT_EQ(got.state, LocalRules::State::kValid) << got.failure;
  EXPECT_EQ(got.file.rules->privileges->size(), 60'000U);
}

TEST_F(LocalDirectoryTest, WhatIsWrongInOurOwnFieldsIsKeptOfAFileThatFails) {
  for (const char* more : {"", R"(,"roles":[{"name":1}])"}) {
    put("IMDS_Rules.json",
        fmt::format(R"({{"rules":{{"identities":[{{"name":"i","openmsp":{{"unti":"a.service"}}}}]{}}}}})", more));
    const LocalRules got = LocalDirectory(directory_).load(Service::kImds);
    EXPECT_EQ(got.state, LocalRules::State::kFailed);
    ASSERT_EQ(got.problems.size(), 1U) << more;
    EXPECT_NE(got.problems[0].find("unti"), std::string::npos);
  }
}

// Half a document is found while somebody writes it in place: the third look counts.
TEST_F(LocalDirectoryTest, AFileThatIsBeingWrittenIsLookedAtThreeTimes) {
  for (const int readings : {1, 2, 3}) {
    const std::string path = put("IMDS_Rules.json", "{");
    const Fd inotify(::inotify_init1(IN_CLOEXEC));
    ASSERT_GE(::inotify_add_watch(inotify.get(), path.c_str(), IN_CLOSE_NOWRITE), 0);
    std::thread writer([&] {
      for (int closed = 0; closed < readings;) {
        alignas(inotify_event) std::array<char, 4096> events{};
        pollfd waits{.fd = inotify.get(), .events = POLLIN, .revents = 0};
        if (::poll(&waits, 1, 2'000) != 1) {
          break;  // nobody looks any more
        }
        const ssize_t size = ::read(inotify.get(), events.data(), events.size());
        closed += static_cast<int>(std::max<ssize_t>(size, 0) / static_cast<ssize_t>(sizeof(inotify_event)));
      }
      put("fresh", R"({"id":"whole"})");
      std::filesystem::rename(directory_ + "/fresh", path);
    });
    const LocalRules got = LocalDirectory(directory_).load(Service::kImds);
    writer.join();
    EXPECT_EQ(got.state == LocalRules::State::kValid, readings < 3) << readings << ": " << got.failure;
  }
}

TEST_F(LocalDirectoryTest, BadTextAndBrokenRulesFail) {
  for (const char* text : {"{", R"({"id":" "})"}) {
    const std::string path = put("IMDS_Rules.json", text);
    const LocalRules got = LocalDirectory(directory_).load(Service::kImds);
    EXPECT_EQ(got.state, LocalRules::State::kFailed);
    EXPECT_NE(got.failure.find(path), std::string::npos) << got.failure;
  }
}

TEST_F(LocalDirectoryTest, WhatOthersCanWriteOrALinkIsNotBelieved) {
  const std::string path = put("IMDS_Rules.json", "{}");
  LocalDirectory directory(directory_);
  EXPECT_EQ(directory.load(Service::kImds).state, LocalRules::State::kValid);
  ::chmod(path.c_str(), 0664);
  EXPECT_EQ(directory.load(Service::kImds).state, LocalRules::State::kFailed);
  ::chmod(path.c_str(), 0644);
  ::chmod(directory_.c_str(), 0775);
  EXPECT_EQ(directory.load(Service::kImds).state, LocalRules::State::kFailed);
  ::chmod(directory_.c_str(), 0755);
  std::filesystem::rename(path, directory_ + "/real.json");
  std::filesystem::create_symlink("real.json", path);
  EXPECT_EQ(directory.load(Service::kImds).state, LocalRules::State::kFailed);
}

}  // namespace
}  // namespace msp::rules
