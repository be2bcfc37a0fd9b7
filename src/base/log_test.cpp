// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <gtest/gtest.h>

namespace msp::log {
namespace {

/// What f logs, without the time stamps, one line each.
template <class F>
std::string logged(F&& f) {
  testing::internal::CaptureStderr();
  f();
  std::string out;
  const std::string captured = testing::internal::GetCapturedStderr();
  for (std::size_t at = 0; at < captured.size();) {
    const std::size_t end = captured.find('\n', at);
    out += captured.substr(at + 24, end - at - 23);
    at = end + 1;
  }
  return out;
}

TEST(Log, LinesHaveTheirLevel) {
  EXPECT_EQ(logged([] { info("started on {}:{}", "127.0.0.1", 3080); }), "info  started on 127.0.0.1:3080\n");
  EXPECT_EQ(logged([] { bug("x"); }), "bug   x\n");
  EXPECT_EQ(logged([] { debug("unseen"); }), "");
  set_level(Level::kDebug);
  EXPECT_EQ(logged([] { debug("seen"); }), "debug seen\n");
  set_level(Level::kError);
  EXPECT_EQ(logged([] {
              warn("unseen");
              error("seen");
            }),
            "error seen\n");
  set_level(Level::kInfo);
}

TEST(Log, OutsideTextCannotBreakALine) {
  EXPECT_EQ(logged([] { warn("user {}", "x\nerror forged\r\x1b[2J\xff\xc2\x9b é"); }),
            "warn  user x\\nerror forged\\r\\x1b[2J\\xff\\xc2\\x9b é\n");
}

TEST(Log, ErrorsBringTheirHint) {
  EXPECT_EQ(logged([] { write(config_error("no such file", "make it")); }), "error no such file\nhint  make it\n");
  EXPECT_EQ(logged([] { write(config_error("f: 2 problems\n  a\n  b")); }),
            "error f: 2 problems\nerror   a\nerror   b\n");
  EXPECT_EQ(logged([] { write(Error{.source = Source::kClient, .message = "bad\nline", .hint = {}, .code = 0}); }),
            "info  bad\\nline\n");
}

TEST(Log, LevelsHaveNames) {
  for (const Level level : {Level::kBug, Level::kError, Level::kWarn, Level::kHint, Level::kInfo, Level::kDebug}) {
    EXPECT_EQ(parse_level(to_string(level)), level);
  }
  EXPECT_FALSE(parse_level("Trace"));
}

TEST(Log, RateLimitCountsWhatItDrops) {
  RateLimit limit(2, 1000);
  EXPECT_EQ(limit.admit(5000), 0U);
  EXPECT_EQ(limit.admit(5001), 0U);
  for (int i = 0; i < 7; ++i) {
    EXPECT_FALSE(limit.admit(5002));
  }
  EXPECT_EQ(limit.admit(6000), 7U);
  EXPECT_EQ(limit.admit(6001), 0U);
  EXPECT_FALSE(limit.admit(6999));
}

}  // namespace
}  // namespace msp::log
