// SPDX-License-Identifier: Apache-2.0
#include "status/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

#include "status/example_snapshot.h"

namespace msp::status {
namespace {

TEST(Metrics, OfAMachineWhereEverythingHolds) {
  const std::string text = metrics_text(example_snapshot());
  for (const char* line :
       {"msp_agent_protected 1\n", "msp_agent_channel_phase{phase=\"latched\"} 1\n",
        "msp_agent_channel_phase{phase=\"refused\"} 0\n", "msp_agent_channel_long_poll 1\n",
        "msp_agent_requests_total{outcome=\"served\"} 40\n", "msp_agent_host_clock_offset_seconds 0.412\n",
        "msp_agent_service_mode{service=\"imds\",mode=\"enforce\"} 1\n"}) {
    EXPECT_THAT(text, testing::HasSubstr(line));
  }
}

TEST(Metrics, WhatIsWrongShows) {
  Snapshot s = example_snapshot();
  s.interception.hooks[0].pinned = false;
  s.channel.closed = true;
  s.services[1].message = "cannot be compiled";
  s.channel.host_clock_offset_ms.reset();
  s.channel.key_refused = true;
  const std::string text = metrics_text(s);
  for (const char* line :
       {"msp_agent_protected 0\n", "msp_agent_hook_pinned{hook=\"connect4\"} 0\n", "msp_agent_channel_closed 1\n",
        "msp_agent_channel_key_doubted 0\n", "msp_agent_channel_key_refused 1\n",
        "msp_agent_service_rules_unusable{service=\"wireserver\"} 1\n"}) {
    EXPECT_THAT(text, testing::HasSubstr(line));
  }
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("clock_offset")));
}

TEST(Metrics, EachIsDocumented) {
  std::ifstream page(std::string(MSP_SOURCE_DIR) + "/docs/metrics.md");
  const std::string documented((std::istreambuf_iterator<char>(page)), {});
  std::istringstream text(metrics_text(example_snapshot()));
  int families = 0;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("# TYPE ")) {
      const std::string name = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_THAT(documented, testing::HasSubstr("`" + name + "`"));
      ++families;
    }
  }
  EXPECT_GT(families, 15);
}

}  // namespace
}  // namespace msp::status
