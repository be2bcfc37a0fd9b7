// SPDX-License-Identifier: Apache-2.0
#include "authoring/simulation.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "authoring/rule_source.h"

namespace msp::authoring {
namespace {

using testing::HasSubstr;
using Kind = RequestLine::Kind;

policy::Snapshot rules(std::string_view user, std::string_view more = "") {
  const std::string text = fmt::format(
      R"({{"defaultAccess":"deny","mode":"enforce","id":"v1","rules":{{
        "privileges":[{{"name":"p","path":"/metadata"}}],"roles":[{{"name":"r","privileges":["p"]}}],
        "identities":[{{"name":"i","userName":"{}"{}}}],"roleAssignments":[{{"role":"r","identities":["i"]}}]}}}})",
      user, more);
  return read_rules(text, "f")->compile(policy::Matching::kEnforce);
}

std::string record(std::string_view user, std::string_view decision, std::string_view reason = "",
                   std::string_view target = "/metadata?a=b") {
  return fmt::format(
      R"({{"time":"2026-11-24T00:00:00.000000Z","request_id":"0-1","connection":1,"decision":"{}","status":200,)"
      R"("reason":"{}","service":"imds","method":"GET","target":"{}","client":"127.0.0.1:1","uid":1000,"gid":1000,)"
      R"("user":"{}","pid":1,"start_time_ns":1,"exe":"/x","process":"y","cgroup_id":1,"bytes_in":0}})",
      decision, reason, target, user);
}

TEST(RequestLine, RecordsEventsAndTheSimpleForm) {
  const RequestLine one = read_request_line(record("alice", "deny", "no_rule"));
  ASSERT_EQ(one.kind, Kind::kRequest) << one.why;
  EXPECT_EQ(one.caller.user, "alice");
  EXPECT_EQ(one.caller.uid, 1000U);
  EXPECT_EQ(one.caller.process, "") << "the log's process is the command name";
  EXPECT_EQ(one.target, "/metadata?a=b");
  EXPECT_EQ(one.recorded, Outcome::kDeny);
  EXPECT_TRUE(one.from_log);
  EXPECT_EQ(read_request_line(R"({"time":"x","event":"end","written":1})").kind, Kind::kEvent);
  const RequestLine simple = read_request_line(
      R"({"as":{"user":"bob","groups":["g"]},"request":"PUT http://168.63.129.16/x","expect":"audit"})");
  ASSERT_EQ(simple.kind, Kind::kRequest) << simple.why;
  EXPECT_EQ(simple.service, Service::kWireServer);
  EXPECT_EQ(simple.caller.groups, std::vector<std::string>{"g"});
  EXPECT_EQ(simple.recorded, Outcome::kAudit);
  EXPECT_FALSE(simple.from_log);
}

TEST(RequestLine, WhatRulesDoNotDecideIsNotCompared) {
  EXPECT_EQ(read_request_line(record("a", "deny", "not_ready")).recorded, std::nullopt);
  EXPECT_EQ(read_request_line(record("a", "deny", "canon_pct")).recorded, Outcome::kDeny);
  EXPECT_EQ(read_request_line(record("a", "permit")).recorded, Outcome::kPermit);
  EXPECT_EQ(read_request_line(R"({"request_id":"0-1","decision":"deny","reason":"no_identity","service":"imds"})").kind,
            Kind::kNotForRules);
  EXPECT_EQ(read_request_line(R"({"request_id":"0-1","decision":"permit","service":"local","uid":0})").kind,
            Kind::kNotForRules);
}

TEST(RequestLine, UnusableLinesSayWhy) {
  for (const std::string_view text :
       {"x", "[]", "{}", R"({"request":"GET http://169.254.169.254/"})", R"({"request_id":"0-1"})",
        R"({"as":"a","request":"GET http://169.254.169.254/","extra":1})", R"({"as":"a","request":"GET /x"})",
        R"({"request_id":"0-1","decision":"deny","service":"odd","uid":1,"method":"GET","target":"/"})"}) {
    const RequestLine line = read_request_line(text);
    EXPECT_EQ(line.kind, Kind::kUnusable) << text;
    EXPECT_NE(line.why, "") << text;
  }
}

TEST(RequestLine, AllThatIsWrongWithALineIsTold) {
  const RequestLine line = read_request_line(R"({"as":5,"requestt":"x","request":"GET http://1.2.3.4/"})");
  EXPECT_EQ(line.kind, Kind::kUnusable);
  EXPECT_THAT(line.why, testing::AllOf(HasSubstr("/as at line 1"), HasSubstr("; /request at"),
                                       HasSubstr("; /requestt at"), testing::Not(HasSubstr("names nobody"))));
  EXPECT_THAT(read_request_line(R"({"as":"bob","requestt":"x"})").why,
              testing::AllOf(HasSubstr("/request at"), HasSubstr("/requestt at")));
}

TEST(Simulation, GroupsCountAndCompareWithTheRecord) {
  Simulation simulation(rules("alice"), std::nullopt, {});
  for (int i = 0; i < 3; ++i) {
    simulation.add(record("alice", "permit", "", "/metadata?n=" + std::to_string(i)), true);
  }
  simulation.add(record("bob", "permit"), true);
  simulation.add(record("bob", "deny", "upstream_failed"), true);
  const std::vector<SimulationGroup> groups = simulation.groups();
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_TRUE(groups[0].changed());
  EXPECT_EQ(groups[0].user, "bob");
  EXPECT_EQ(groups[0].code, "identity_mismatch");
  EXPECT_THAT(groups[0].rule, HasSubstr("p / r / i"));
  EXPECT_EQ(groups[2].user, "alice");
  EXPECT_EQ(groups[2].count, 3U) << "the query does not split a group";
  EXPECT_EQ(groups[2].path, "/metadata");
  EXPECT_EQ(simulation.counts().changed, 1U);
  EXPECT_EQ(simulation.counts().not_compared, 1U);
}

TEST(Simulation, TwoVersionsAreComparedWhateverWasRecorded) {
  Simulation simulation(rules("bob"), rules("alice"), {});
  simulation.add(record("alice", "deny", "no_rule"), true);
  simulation.add(record("bob", "deny", "not_ready"), true);
  simulation.add(record("eve", "permit"), true);
  EXPECT_EQ(simulation.counts().changed, 2U);
  EXPECT_EQ(simulation.counts().not_compared, 0U);
  const std::vector<SimulationGroup> groups = simulation.groups();
  EXPECT_EQ(groups[0].user, "alice");
  EXPECT_EQ(groups[0].before, Outcome::kPermit);
  EXPECT_EQ(groups[1].user, "bob");
  EXPECT_EQ(groups[1].before, Outcome::kDeny);
}

TEST(Simulation, UnusableLinesAreNamedByFileAndNumber) {
  Simulation simulation(rules("alice"), std::nullopt, {});
  simulation.begin_file("a");
  simulation.add(record("alice", "permit"), true);
  simulation.add("", true);
  simulation.add("nonsense", true);
  simulation.begin_file("b");
  simulation.add_unreadable("longer");
  simulation.add(record("alice", "permit").substr(0, 50), false);
  const Simulation::Counts& counts = simulation.counts();
  EXPECT_EQ(counts.lines, 5U);
  EXPECT_EQ(counts.unusable, 3U);
  EXPECT_TRUE(counts.torn);
  ASSERT_EQ(simulation.bad().size(), 3U);
  EXPECT_EQ(simulation.bad()[0].file, "a");
  EXPECT_EQ(simulation.bad()[0].line, 3U);
  EXPECT_EQ(simulation.bad()[1].line, 1U);
  EXPECT_EQ(simulation.bad()[2].line, 2U);
  EXPECT_THAT(simulation.bad()[2].why, HasSubstr("incomplete"));
}

TEST(Simulation, WhatALogDoesNotSayIsCounted) {
  const policy::Snapshot asks = rules("alice", R"(,"groupName":"g","openmsp":{"unit":"a.service"})");
  Simulation simulation(asks, std::nullopt, {});
  simulation.add(record("alice", "permit", "", "/metadata?sig=redacted"), true);
  simulation.add(record("alice", "permit", "", "/" + std::string(2047, 'a')), true);
  EXPECT_EQ(simulation.counts().without_groups, 2U);
  EXPECT_EQ(simulation.counts().without_place, 2U);
  EXPECT_EQ(simulation.counts().redacted, 1U);
  EXPECT_EQ(simulation.counts().cut, 1U);

  Simulation helped(rules("alice", R"(,"groupName":"g")"), std::nullopt,
                    [](const std::string& user) { return std::vector<std::string>{user == "alice" ? "g" : "h"}; });
  helped.add(record("alice", "permit"), true);
  EXPECT_EQ(helped.counts().without_groups, 0U);
  EXPECT_EQ(helped.counts().changed, 0U);
}

/// So many of alice, each for a path of its own.
void add_different(Simulation& to, std::size_t many) {
  const std::string all = record("alice", "permit", "", "/metadata/#");
  const std::size_t mark = all.find('#');
  for (std::size_t i = 0; i < many; ++i) {
    to.add(std::string(all).replace(mark, 1, std::to_string(i)), true);
  }
}

std::uint64_t counted(const std::vector<SimulationGroup>& groups) {
  std::uint64_t sum = 0;
  for (const SimulationGroup& group : groups) {
    sum += group.count;
  }
  return sum;
}

TEST(Simulation, ManyDifferentRequestsDoNotTakeMemoryWithoutEnd) {
  constexpr std::size_t kMost = 5000;
  Simulation simulation(rules("alice"), std::nullopt, {}, kMost);
  add_different(simulation, kMost + 500);
  EXPECT_LE(simulation.groups().size(), kMost + 8);
  EXPECT_EQ(counted(simulation.groups()), kMost + 500) << "all are counted";
}

// docs/mspctl-policy.md: of those who name none, as mspctl policy simulate. What a bound does is tested with a small
// one.
TEST(Simulation, WithoutABoundOfItsOwnItIsThatOfTheManual) {
  EXPECT_EQ(Simulation(rules("alice"), std::nullopt, {}).max_groups(), 100'000U);
}

}  // namespace
}  // namespace msp::authoring
