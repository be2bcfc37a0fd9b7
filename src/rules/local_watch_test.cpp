// SPDX-License-Identifier: Apache-2.0
#include "rules/local_watch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace msp::rules {
namespace {

namespace fs = std::filesystem;

class LocalWatchTest : public testing::Test {
 protected:
  LocalWatchTest() {
    std::string name = (fs::temp_directory_path() / "msp_watch_XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    fs::create_directory(directory());
  }
  ~LocalWatchTest() override {
    watch_.reset();
    fs::remove_all(root_);
  }

  fs::path directory() const { return root_ / "rules"; }
  fs::path file() const { return directory() / "IMDS_Rules.json"; }

  void start() {
    auto watch = LocalWatch::start(loop_, directory().string(), [this] {
      ++calls_;
      std::ostringstream text;
      text << std::ifstream(file()).rdbuf();
      seen_ = text.str();
    });
    ASSERT_TRUE(watch) << watch.error().text();
    watch_ = std::move(*watch);
  }
  static void write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  void replace(const std::string& text) const {
    write(directory() / "fresh", text);
    fs::rename(directory() / "fresh", file());
  }
  bool comes(const std::string& text) {
    for (int turn = 0; turn < 500 && !(calls_ > 0 && seen_ == text); ++turn) {
      loop_.run_once(10);
    }
    return calls_ > 0 && seen_ == text;
  }
  /// Turns for longer than changes are gathered.
  void idle() {
    for (const Deadline end = loop_.after_ms(4 * LocalWatch::kGatherMs); loop_.now() < end;) {
      loop_.run_once(10);
    }
  }

  Loop loop_;
  fs::path root_;
  int calls_ = 0;
  std::string seen_;
  std::unique_ptr<LocalWatch> watch_;
};

TEST_F(LocalWatchTest, SaysNothingWhereNothingChanges) {
  start();
  write(root_ / "beside", "x");
  idle();
  EXPECT_EQ(calls_, 0);
}

TEST_F(LocalWatchTest, EachKindOfChangeIsSeen) {
  start();
  write(file(), "written in place");
  EXPECT_TRUE(comes("written in place"));
  replace("renamed over it");
  EXPECT_TRUE(comes("renamed over it"));
  calls_ = 0;
  fs::permissions(file(), fs::perms::owner_read);
  EXPECT_TRUE(comes("renamed over it"));
  write(root_ / "elsewhere", "linked");
  fs::remove(file());
  fs::create_hard_link(root_ / "elsewhere", file());
  EXPECT_TRUE(comes("linked"));
  fs::remove(file());
  EXPECT_TRUE(comes(""));
}

TEST_F(LocalWatchTest, ABurstEndsWithTheLastRewriteAndCostsFewCalls) {
  start();
  for (int i = 1; i <= 1000; ++i) {
    replace(std::to_string(i));
    if (i % 100 == 0) {
      loop_.run_once(0);
    }
  }
  EXPECT_TRUE(comes("1000"));
  idle();
  EXPECT_EQ(seen_, "1000");
  // One reading at most for each time of gathering; far more would be one for each change.
  EXPECT_LT(calls_, 500);
}

TEST_F(LocalWatchTest, ADirectoryThatTakesTheOldOnesPlaceIsWatched) {
  start();
  fs::rename(directory(), root_ / "old");
  fs::create_directory(directory());
  idle();
  write(file(), "in the new one");
  EXPECT_TRUE(comes("in the new one"));
  calls_ = 0;
  write(root_ / "old" / "IMDS_Rules.json", "nobody reads this");
  idle();
  EXPECT_EQ(calls_, 0);
}

TEST_F(LocalWatchTest, ADirectoryThatComesLaterIsFoundByLookingAgain) {
  fs::remove(directory());
  start();
  fs::create_directory(directory());
  EXPECT_TRUE(watch_->look_again());
  write(file(), "late");
  EXPECT_TRUE(comes("late"));
  fs::remove_all(directory());
  idle();
  EXPECT_FALSE(watch_->look_again());
  fs::create_directory(directory());
  EXPECT_TRUE(watch_->look_again()) << "its files have to be read now";
  EXPECT_FALSE(watch_->look_again());
  write(file(), "once more");
  EXPECT_TRUE(comes("once more"));
}

}  // namespace
}  // namespace msp::rules
