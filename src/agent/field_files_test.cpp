// SPDX-License-Identifier: Apache-2.0
#include "agent/field_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/log.h"

namespace msp::agent {
namespace {

namespace fs = std::filesystem;

/// Stands for a disk that stands still: a file that fails is told, and that line waits.
class Frozen final : public log::Sink {
 public:
  Frozen() { log::set_sink(this); }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;
  ~Frozen() override { log::set_sink(nullptr); }
  void write(log::Level /*level*/, const std::string& text, log::Fields /*fields*/) override {
    lines.push_back(text);
    if (lines.size() == 1) {
      begun.set_value();
      thawed.wait();
    }
  }

  std::vector<std::string> lines;
  std::promise<void> begun;
  std::promise<void> thaw;
  std::shared_future<void> thawed = thaw.get_future().share();
};

class FieldFilesTest : public testing::Test {
 protected:
  FieldFilesTest() {
    std::string name = testing::TempDir() + "field_files_XXXXXX";
    folder = ::mkdtemp(name.data());
    files.emplace(folder + "/log/status.json", folder + "/keys");
  }
  ~FieldFilesTest() override { fs::remove_all(folder); }

  void rules(int number) {
    rules::EffectiveItems items;
    items[0] = *parse_rule_item(
        R"({"defaultAccess":"deny","mode":"enforce","id":"rules-)" + std::to_string(number) + R"("})", Source::kConfig);
    policy::Snapshot snapshot;
    snapshot.rules[0] = policy::RuleSet::compile(*items[0], policy::Matching::kEnforce);
    files->rules(items, snapshot, 1'745'409'600'000'000'000 + number);
  }
  std::string text(const std::string& name) const { return *file::read(folder + "/" + name, {}); }
  std::vector<std::string> dumps() const {
    auto names = *file::list(folder + "/log");
    std::erase(names, "status.json");
    return names;
  }

  std::string folder;
  std::optional<FieldFiles> files;
};

TEST_F(FieldFilesTest, AfterADiskThatStoodStillTheNewestIsThere) {
  Frozen disk;
  fs::create_directory(folder + "/log");
  files->tags("fails: there is no folder of keys", 0);
  disk.begun.get_future().wait();
  fs::create_directory(folder + "/keys");
  for (int i = 1; i <= 200; ++i) {
    rules(i);
    files->status(std::to_string(i));
    files->tags(std::to_string(i), i);
  }
  disk.thaw.set_value();
  files.reset();
  ASSERT_EQ(dumps().size(), rules::kMostDumps);
  EXPECT_THAT(text("log/" + dumps().back()), testing::HasSubstr("rules-200"));
  EXPECT_THAT(text("log/" + dumps().front()), testing::HasSubstr("rules-196"));
  EXPECT_EQ(text("log/status.json"), "200");
  EXPECT_EQ(text("keys/status.tag"), "200");
  ASSERT_EQ(disk.lines.size(), 2U);
  EXPECT_THAT(disk.lines[1], testing::HasSubstr("195 dumps of rules are left out"));
}

TEST_F(FieldFilesTest, WhatCouldNotBeWrittenIsWrittenWithTheNextFile) {
  Frozen disk;
  rules(1);
  disk.begun.get_future().wait();
  files->tags("late", 1);
  files->status("makes the folder of the log");
  disk.thaw.set_value();
  while (!fs::exists(folder + "/log/status.json")) {
    ::usleep(1000);
  }
  fs::create_directory(folder + "/keys");
  files->status("next");
  files.reset();
  ASSERT_EQ(dumps().size(), 1U);
  EXPECT_THAT(text("log/" + dumps().back()), testing::HasSubstr("rules-1"));
  EXPECT_EQ(text("keys/status.tag"), "late");
  EXPECT_EQ(disk.lines.size(), 2U);
}

}  // namespace
}  // namespace msp::agent
