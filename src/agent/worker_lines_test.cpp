// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_lines.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace msp::agent {
namespace {

using log::Level;

class Kept final : public log::Sink {
 public:
  struct Entry {
    Level level;
    std::string text;
    std::map<std::string, std::string> fields;
  };
  Kept() { log::set_sink(this); }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() override { log::set_sink(nullptr); }
  void write(Level level, const std::string& text, log::Fields fields) override {
    Entry entry{.level = level, .text = text, .fields = {}};
    for (const JournalField& field : fields) {
      EXPECT_TRUE(entry.fields.emplace(field.name, field.value).second) << field.name;
    }
    entries.push_back(std::move(entry));
  }
  std::vector<Entry> entries;
};

TEST(WorkerLines, AreMarkedAndHaveTheirLevelAndFields) {
  Loop loop;
  Kept kept;
  WorkerLines lines(loop);
  lines.take({.level = Level::kError, .text = "recvmsg", .fields = {{"MSP_SOURCE", "kernel"}, {"ERRNO", "9"}}});
  lines.take({.level = Level::kDebug, .text = "unseen", .fields = {}});
  ASSERT_EQ(kept.entries.size(), 1U);
  EXPECT_EQ(kept.entries[0].level, Level::kError);
  EXPECT_EQ(kept.entries[0].text, "worker: recvmsg");
  EXPECT_EQ(kept.entries[0].fields,
            (std::map<std::string, std::string>{{"MSP_PROCESS", "worker"}, {"MSP_SOURCE", "kernel"}, {"ERRNO", "9"}}));
}

TEST(WorkerLines, NothingIsForged) {
  Loop loop;
  Kept kept;
  WorkerLines lines(loop);
  lines.take({.level = Level::kInfo,
              .text = "a\nerror forged\x1b[2J" + std::string(link::Line::kMostText, 'x'),
              .fields = {{"MSP_EVENT", "ready"},
                         {"MSP_PROCESS", "monitor"},
                         {"MESSAGE", "m"},
                         {"ERRNO", "1\nMSP_EVENT=ready" + std::string(100, '9')},
                         {"ERRNO", "2"}}});
  ASSERT_EQ(kept.entries.size(), 1U);
  const auto& entry = kept.entries[0];
  EXPECT_TRUE(entry.text.starts_with("worker: a\\nerror forged\\x1b[2Jxxx")) << entry.text;
  EXPECT_LT(entry.text.size(), link::Line::kMostText + 32);
  ASSERT_EQ(entry.fields.size(), 2U);
  EXPECT_EQ(entry.fields.at("MSP_PROCESS"), "worker");
  EXPECT_TRUE(entry.fields.at("ERRNO").starts_with("1\\nMSP_EVENT=ready9"));
  EXPECT_LT(entry.fields.at("ERRNO").size(), 80U);
}

TEST(WorkerLines, AFloodIsLeftOutAndCounted) {
  Loop loop;
  Kept kept;
  WorkerLines lines(loop);
  for (int i = 0; i < 100'000; ++i) {
    lines.take({.level = Level::kBug, .text = "again", .fields = {}});
  }
  EXPECT_EQ(kept.entries.size(), 100U);
}

TEST(WorkerLines, LastWordsComeByStandardError) {
  Loop loop;
  Kept kept;
  WorkerLines lines(loop);
  auto end = lines.open_errors();
  ASSERT_TRUE(end.ok());
  const std::string said = "one\n\ntwo\x1b and " + std::string(5'000, 'y') + "\nlast";
  ASSERT_EQ(::write(end->get(), said.data(), said.size()), static_cast<ssize_t>(said.size()));
  loop.run_once(1'000);
  EXPECT_EQ(kept.entries.size(), 1U);
  lines.close_errors();
  ASSERT_EQ(kept.entries.size(), 3U);
  EXPECT_EQ(kept.entries[0].text, "worker: one");
  EXPECT_TRUE(kept.entries[1].text.starts_with("worker: two\\x1b and yy"));
  EXPECT_LT(kept.entries[1].text.size(), link::Line::kMostText + 32);
  EXPECT_EQ(kept.entries[2].text, "worker: last");
  EXPECT_EQ(kept.entries[2].level, Level::kWarn);
  // A full pipe does not stop the one that writes.
  end = lines.open_errors();
  ASSERT_TRUE(end.ok());
  const std::string much(100'000, 'z');
  while (::write(end->get(), much.data(), much.size()) > 0) {
  }
  EXPECT_EQ(errno, EAGAIN);
}

}  // namespace
}  // namespace msp::agent
