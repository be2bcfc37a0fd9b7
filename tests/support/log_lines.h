// SPDX-License-Identifier: Apache-2.0
// What is said to the operator while it lives.
// Tests only: begun before any other thread logs and ended after it; any thread may log and ask meanwhile.
// A field that a line has twice fails the test.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"

namespace msp::test {

class LogLines final : public log::Sink {
 public:
  struct Line {
    log::Level level;
    std::string text;
    std::map<std::string, std::string> fields;
  };
  /// `wants`: lines up to it are heard whatever the level is.
  explicit LogLines(log::Level wants = log::Level::kBug) { log::set_sink(this, wants); }
  LogLines(const LogLines&) = delete;
  LogLines& operator=(const LogLines&) = delete;
  ~LogLines() override { log::set_sink(nullptr); }

  void write(log::Level level, const std::string& text, log::Fields fields) override {
    Line line{.level = level, .text = text, .fields = {}};
    for (const JournalField& field : fields) {
      EXPECT_TRUE(line.fields.emplace(field.name, field.value).second) << field.name;
    }
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  std::vector<Line> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }
  /// Of all lines, each with its newline.
  std::string text() const {
    std::string out;
    for (const Line& line : lines()) {
      out += line.text + "\n";
    }
    return out;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    lines_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
};

}  // namespace msp::test
