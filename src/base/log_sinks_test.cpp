// SPDX-License-Identifier: Apache-2.0
#include "base/log_sinks.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/file.h"

namespace msp::log {
namespace {

class LogSinks : public testing::Test {
 protected:
  void TearDown() override { set_sink(nullptr); }
};

/// What f makes of standard error.
template <class F>
std::string said(F&& f) {
  testing::internal::CaptureStderr();
  f();
  return testing::internal::GetCapturedStderr();
}

TEST_F(LogSinks, StderrIsTheSameByTheLibraryAndWithoutIt) {
  const auto one = [] { warn("user {}", "x\nforged"); };
  const std::string plain = said(one);
  use_stderr();
  const std::string library = said(one);
  EXPECT_EQ(plain.substr(23), " warn  user x\\nforged\n");
  EXPECT_EQ(library.substr(23), plain.substr(23));
  // The same clock: no more than the minutes between two lines differ.
  EXPECT_EQ(library.substr(0, 13), plain.substr(0, 13));
}

TEST_F(LogSinks, AFileMayWantMoreThanTheRest) {
  std::string folder = testing::TempDir() + "log_sinks_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/ProxyAgent.log";
  ASSERT_TRUE(also_to_file(path, Level::kDebug).ok());
  EXPECT_EQ(most_detailed(), Level::kDebug);
  EXPECT_EQ(level(), Level::kInfo);
  EXPECT_EQ(said([] { debug("for developers"); }), "");
  leave_journal();  // the file's thread is done
  const auto text = file::read(path, {});
  ASSERT_TRUE(text.ok());
  EXPECT_TRUE(text->ends_with("for developers\n")) << *text;
  std::filesystem::remove_all(folder);
  set_sink(nullptr);
  EXPECT_EQ(most_detailed(), Level::kInfo);
}

}  // namespace
}  // namespace msp::log
