// SPDX-License-Identifier: Apache-2.0
#include "agent/worker_lines.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <map>
#include <string>

#include "tests/support/log_lines.h"

namespace msp::agent {
namespace {

using log::Level;

TEST(WorkerLines, AreMarkedAndHaveTheirLevelAndFields) {
  Loop loop;
  const test::LogLines kept;
  WorkerLines lines(loop);
  lines.take({.level = Level::kError, .text = "recvmsg", .fields = {{"MSP_SOURCE", "kernel"}, {"ERRNO", "9"}}});
  lines.take({.level = Level::kDebug, .text = "unseen", .fields = {}});
  const auto all = kept.lines();
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].level, Level::kError);
  EXPECT_EQ(all[0].text, "worker: recvmsg");
  EXPECT_EQ(all[0].fields,
            (std::map<std::string, std::string>{{"MSP_PROCESS", "worker"}, {"MSP_SOURCE", "kernel"}, {"ERRNO", "9"}}));
}

TEST(WorkerLines, NothingIsForged) {
  Loop loop;
  const test::LogLines kept;
  WorkerLines lines(loop);
  lines.take({.level = Level::kInfo,
              .text = "a\nerror forged\x1b[2J" + std::string(link::Line::kMostText, 'x'),
              .fields = {{"MSP_EVENT", "ready"},
                         {"MSP_PROCESS", "monitor"},
                         {"MESSAGE", "m"},
                         {"ERRNO", "1\nMSP_EVENT=ready" + std::string(100, '9')},
                         {"ERRNO", "2"}}});
  const auto all = kept.lines();
  ASSERT_EQ(all.size(), 1U);
  const auto& entry = all[0];
  EXPECT_TRUE(entry.text.starts_with("worker: a\\nerror forged\\x1b[2Jxxx")) << entry.text;
  EXPECT_LT(entry.text.size(), link::Line::kMostText + 32);
  ASSERT_EQ(entry.fields.size(), 2U);
  EXPECT_EQ(entry.fields.at("MSP_PROCESS"), "worker");
  EXPECT_TRUE(entry.fields.at("ERRNO").starts_with("1\\nMSP_EVENT=ready9"));
  EXPECT_LT(entry.fields.at("ERRNO").size(), 80U);
}

TEST(WorkerLines, AFloodIsLeftOutAndCounted) {
  Loop loop;
  const test::LogLines kept;
  WorkerLines lines(loop);
  for (int i = 0; i < 100'000; ++i) {
    lines.take({.level = Level::kBug, .text = "again", .fields = {}});
  }
  EXPECT_EQ(kept.lines().size(), 100U);
}

TEST(WorkerLines, LastWordsComeByStandardError) {
  Loop loop;
  const test::LogLines kept;
  WorkerLines lines(loop);
  auto end = lines.open_errors();
  ASSERT_TRUE(end.ok());
  const std::string said = "one\n\ntwo\x1b and " + std::string(5'000, 'y') + "\nlast";
  ASSERT_EQ(::write(end->get(), said.data(), said.size()), static_cast<ssize_t>(said.size()));
  loop.run_once(1'000);
  EXPECT_EQ(kept.lines().size(), 1U);
  lines.close_errors();
  const auto all = kept.lines();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].text, "worker: one");
  EXPECT_TRUE(all[1].text.starts_with("worker: two\\x1b and yy"));
  EXPECT_LT(all[1].text.size(), link::Line::kMostText + 32);
  EXPECT_EQ(all[2].text, "worker: last");
  EXPECT_EQ(all[2].level, Level::kWarn);
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
