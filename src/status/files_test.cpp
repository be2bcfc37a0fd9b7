// SPDX-License-Identifier: Apache-2.0
#include "status/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace msp::status {
namespace {

class StatusFiles : public testing::Test {
 protected:
  StatusFiles() {
    std::string name = "/tmp/msp-files-XXXXXX";
    directory = ::mkdtemp(name.data());
  }
  ~StatusFiles() override { std::filesystem::remove_all(directory); }
  static std::string content(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static unsigned mode(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 07777;
  }
  std::string directory;
};

TEST_F(StatusFiles, StatusFileIsForRootAndItsGroup) {
  const std::string path = directory + "/log/status.json";
  const auto written = write_status_file(path, "{}");
  ASSERT_TRUE(written.ok()) << written.error().text();
  EXPECT_EQ(content(path), "{}");
  EXPECT_EQ(mode(path), 0640U);
  EXPECT_TRUE(write_status_file(path, "[]").ok());
  EXPECT_EQ(content(path), "[]");
}

TEST_F(StatusFiles, UnwritablePlaceIsAnError) {
  std::ofstream(directory + "/file") << "x";
  EXPECT_FALSE(write_status_file(directory + "/file/status.json", "{}").ok());
}

TEST_F(StatusFiles, TagsOfAFinishedAndOfAFailedProvisioning) {
  ASSERT_TRUE(write_provision_tags(directory, "", 1'745'409'600'123'000'000).ok());
  EXPECT_EQ(content(directory + "/provisioned.tag"), "2025-04-23T12:00:00.123");
  EXPECT_EQ(content(directory + "/status.tag"), "");
  EXPECT_EQ(mode(directory + "/status.tag"), 0600U);
  ASSERT_TRUE(write_provision_tags(directory, "keyLatchStatus - no <key>\r\n", 0).ok());
  EXPECT_EQ(content(directory + "/status.tag"), "keyLatchStatus - no &lt;key&gt;\r\n");
}

}  // namespace
}  // namespace msp::status
