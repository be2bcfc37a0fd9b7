// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <algorithm>

#include "base/json.h"
#include "base/version.h"
#include "cli/doctor_command.h"
#include "cli/test_agent.h"
#include "status/example_snapshot.h"
#include "status/report.h"

namespace msp::cli {
namespace {

using status::Check;
using status::Verdict;
using testing::HasSubstr;

status::Snapshot of_this_version() {
  status::Snapshot snapshot = status::example_snapshot();
  snapshot.version = version();
  return snapshot;
}

std::vector<Check> checks(const status::Snapshot& snapshot) {
  return checks_of_status(*json::parse(status::status_json(snapshot)));
}

/// All that is not ok.
std::vector<Check> trouble(const status::Snapshot& snapshot) {
  std::vector<Check> out = checks(snapshot);
  std::erase_if(out, [](const Check& check) { return check.verdict == Verdict::kOk; });
  return out;
}

TEST(Doctor, OfAGuardedMachineEveryAreaIsWell) {
  EXPECT_TRUE(trouble(of_this_version()).empty());
  std::vector<std::string> names;
  for (const Check& check : checks(of_this_version())) {
    EXPECT_FALSE(check.what.empty()) << check.name;
    names.push_back(check.name);
  }
  EXPECT_THAT(names, testing::ElementsAre("agent", "hooks", "listener", "channel", "rules", "audit", "clock"));
}

TEST(Doctor, WhatTheAgentComplainsOfIsItsAreasAndHasARemedy) {
  status::Snapshot snapshot = of_this_version();
  snapshot.interception.hooks[0].attached = false;
  snapshot.listener.listening = false;
  snapshot.services[0].local_failure = "IMDS_Rules.json: no JSON";
  snapshot.services[1].mode = "audit";
  snapshot.audit.problem = "disk full";
  const std::vector<Check> found = trouble(snapshot);
  const auto row = [&](std::size_t i) { return found.at(i).name + " " + std::string(to_string(found.at(i).verdict)); };
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(row(0), "hooks failure");
  EXPECT_EQ(row(1), "listener failure");
  EXPECT_EQ(row(2), "rules failure");
  EXPECT_EQ(row(3), "rules warning");
  EXPECT_EQ(row(4), "audit failure");
  for (const Check& check : found) {
    EXPECT_FALSE(check.remedy.empty()) << check.what;
  }
}

TEST(Doctor, AClockThatIsOffAndAnotherVersionAreWarnings) {
  status::Snapshot snapshot = of_this_version();
  snapshot.channel.host_clock_offset_ms = -90'000;
  snapshot.version = "0.0.1";
  const std::vector<Check> found = trouble(snapshot);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_THAT(found[0].what, HasSubstr("version 0.0.1 runs"));
  EXPECT_THAT(found[1].what, HasSubstr("-90.0 s"));
  EXPECT_EQ(found[1].verdict, Verdict::kWarning);
}

TEST(Doctor, AnAgentThatDoesNotRunIsAFailure) {
  const Outcome outcome = call({"doctor", "--json", "--socket", "/nonexistent/agent.sock"});
  EXPECT_EQ(outcome.code, 2);
  const auto read = status::read_checks(outcome.out);
  ASSERT_TRUE(read) << outcome.out;
  EXPECT_EQ(read->front().name, "agent");
  EXPECT_THAT(read->front().what, HasSubstr("the agent is not running"));
  EXPECT_THAT(read->front().remedy, HasSubstr("start msp-agent"));
  EXPECT_EQ(call({"doctor", "--jsn"}).code, 2);
  EXPECT_EQ(call({"doctor", "--help"}).code, 0);
}

}  // namespace
}  // namespace msp::cli
