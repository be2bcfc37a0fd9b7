// SPDX-License-Identifier: Apache-2.0
#include "status/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>

#include "status/example_snapshot.h"

namespace msp::status {
namespace {

using testing::HasSubstr;

json::Value parsed(const std::string& text) {
  auto value = json::parse(text);
  EXPECT_TRUE(value.ok()) << text;
  return value.ok() ? std::move(*value) : json::Value();
}

std::string at(const json::Value& value, std::string_view pointer) {
  const json::Value* found = value.at(pointer);
  return found == nullptr ? "(none)" : json::to_text(*found);
}

std::vector<std::string> whats(const Snapshot& snapshot) {
  std::vector<std::string> out;
  for (const Problem& problem : problems_of(snapshot)) {
    EXPECT_FALSE(problem.remedy.empty()) << problem.what;
    out.push_back(problem.what);
  }
  return out;
}

TEST(Problems, NoneWhenEverythingHolds) { EXPECT_TRUE(whats(example_snapshot()).empty()); }

TEST(Problems, EachMissingPartIsOneProblem) {
  Snapshot s = example_snapshot();
  s.interception.hooks[1].attached = false;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("sockops is not attached")));
  s = example_snapshot();
  s.interception.hooks[0].pinned = false;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("connect4 is not pinned")));
  s = example_snapshot();
  s.interception.hooks.clear();
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("no kernel hook")));
  s = example_snapshot();
  s.listener.listening = false;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("nothing listens")));
  s = example_snapshot();
  s.overloaded_ago_s = 59;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("turned away within the last minute")));
  EXPECT_TRUE(problems_of(s).front().warning);
  s.overloaded_ago_s = 60;
  EXPECT_TRUE(whats(s).empty());
  s = example_snapshot();
  s.services[0].mode = "audit";
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("imds is in mode audit")));
  s = example_snapshot();
  s.services[1].message = "deny-all: what";
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("rules of wireserver: deny-all")));
  s = example_snapshot();
  s.audit.problem = "No space left on device";
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("audit records are being lost")));
}

TEST(Problems, ChannelStatesAreToldApart) {
  Snapshot s = example_snapshot();
  s.channel.phase = "disabled";
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("disabled")));
  s.channel.phase = "unknown";
  s.channel.host_answers = false;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("nothing is redirected")));
  s.channel.closed = true;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("not ready")));
  s.channel.phase = "refused";
  EXPECT_THAT(problems_of(s).front().remedy, HasSubstr("keyIncarnationId"));
  s.channel.host_code = "key_latched";
  EXPECT_THAT(problems_of(s).front().remedy, HasSubstr("mspctl key reset"));
  s.channel.host_code = "unknown_caller";
  EXPECT_THAT(problems_of(s).front().remedy, HasSubstr("mspctl vm import"));
  s.channel.host_code.clear();
  s.channel.closed = false;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("does not know the key")));
  s.channel.phase = "latched";
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("last poll of the host failed")));
}

TEST(Problems, AKeyThatTheHostHasNotIsNoProtection) {
  Snapshot s = example_snapshot();
  s.channel.key_doubted = true;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("the host has another key than the one in use")));
  EXPECT_THAT(problems_of(s).front().remedy, HasSubstr("mspctl key reset"));
  EXPECT_FALSE(problems_of(s).front().warning);
  EXPECT_EQ(at(parsed(status_json(s)), "/channel/keyDoubted"), "true");
  const json::Value aggregate = parsed(aggregate_json(s, json::Style::kPretty, ""));
  EXPECT_EQ(at(aggregate, "/proxyAgentStatus/status"), "\"ERROR\"");
  EXPECT_EQ(at(aggregate, "/proxyAgentStatus/keyLatchStatus/status"), "\"STOPPED\"");
}

TEST(Problems, AKeyThatTheHostRefusesIsNoProtection) {
  Snapshot s = example_snapshot();
  s.channel.key_refused = true;
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("the host refuses what is signed with the key in use")));
  EXPECT_FALSE(problems_of(s).front().warning);
  EXPECT_EQ(at(parsed(aggregate_json(s, json::Style::kPretty, "")), "/proxyAgentStatus/status"), "\"ERROR\"");
}

// Somebody else has latched the next key, and the one in use has ended.
TEST(Problems, AKeyInUseThatTheHostHasReplacedIsNoSuccess) {
  Snapshot s = example_snapshot();
  for (const auto& [phase, status] : {std::pair("refused", "\"ERROR\""), std::pair("acquiring", "\"SUCCESS\"")}) {
    s.channel.phase = phase;
    const json::Value aggregate = parsed(aggregate_json(s, json::Style::kPretty, ""));
    EXPECT_EQ(at(aggregate, "/proxyAgentStatus/status"), status) << phase;
    EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("the host does not know the key in use"))) << phase;
  }
}

TEST(Problems, AHostThatAnswersIsNotCalledSilent) {
  Snapshot s = example_snapshot();
  s.channel = Channel();
  s.channel.phase = "unknown";
  s.channel.message = "the host answered 403 (unknown_caller)";
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("has not answered yet")));
  s.channel.host_status = 403;
  s.channel.host_code = "unknown_caller";
  EXPECT_THAT(whats(s),
              testing::ElementsAre("the host answers 403 (unknown_caller), and has not told this machine anything "
                                   "yet: nothing is redirected"));
  EXPECT_THAT(problems_of(s).front().remedy, HasSubstr("mspctl vm apply MODEL --source-address"));
  s.channel.host_status = 502;
  s.channel.host_code.clear();
  EXPECT_THAT(whats(s), testing::ElementsAre(HasSubstr("the host answers 502, and")));
  EXPECT_THAT(problems_of(s).front().remedy, HasSubstr("have its operator look why"));
}

TEST(Problems, AStatusMarkThatCannotBeReadIsNotTheHostsSilence) {
  Snapshot s = example_snapshot();
  s.channel.phase = "unknown";
  s.channel.closed = true;
  s.channel.host_answers = false;
  s.channel.host_code = "status_uncheckable";
  EXPECT_THAT(problems_of(s).front().remedy, testing::AllOf(HasSubstr("status-signed"), HasSubstr("docs/disks.md")));
}

TEST(Problems, ALocalRuleFileIsNamedWithItsRemedy) {
  Snapshot s = example_snapshot();
  s.services[0].local_failure = "/var/lib/azure-proxy-agent/rules/IMDS_Rules.json: no JSON";
  s.services[0].message = "what it means for the rules";
  EXPECT_THAT(whats(s),
              testing::ElementsAre("the local rule file of imds cannot be used, so that everything is denied: "
                                   "/var/lib/azure-proxy-agent/rules/IMDS_Rules.json: no JSON"));
  EXPECT_THAT(problems_of(s).front().remedy, HasSubstr("mend the file, or remove it"));
}

TEST(Report, StatusJson) {
  const json::Value v = parsed(status_json(example_snapshot()));
  EXPECT_EQ(at(v, "/protected"), "true");
  EXPECT_EQ(at(v, "/problems"), "[]");
  EXPECT_EQ(at(v, "/interception/hooks/0"),
            R"({"name":"connect4","attached":true,"pinned":true,"programId":41,"linkId":7})");
  EXPECT_EQ(at(v, "/channel/keyGuid"), "\"7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11\"");
  EXPECT_EQ(at(v, "/channel/keyIncarnation"), "3");
  EXPECT_EQ(at(v, "/counters/outcomes/served"), "40");
  EXPECT_EQ(at(v, "/lastRefusals/0/reason"), "\"not_elevated\"");
  EXPECT_EQ(at(v, "/lastRefusals/0/time"), "\"2025-04-23T12:00:00.000000Z\"");
  EXPECT_EQ(at(v, "/lastHostRefusals"), "[]");
  EXPECT_EQ(at(v, "/channel/hostStatus"), "null");
  Snapshot refused = example_snapshot();
  refused.channel.host_status = 403;
  refused.last_host_refusals = refused.last_refusals;
  refused.last_host_refusals[0].host_code = "foreign_key";
  refused.last_host_refusals[0].host_request_id = "ab-1";
  const json::Value r = parsed(status_json(refused));
  EXPECT_EQ(at(r, "/channel/hostStatus"), "403");
  EXPECT_EQ(at(r, "/lastHostRefusals/0/hostCode"), "\"foreign_key\"");
  EXPECT_EQ(at(r, "/lastHostRefusals/0/hostRequestId"), "\"ab-1\"");
  Snapshot none;
  const json::Value empty = parsed(status_json(none));
  EXPECT_EQ(at(empty, "/protected"), "false");
  EXPECT_EQ(at(empty, "/channel/keyGuid"), "null");
}

TEST(Report, AggregateHasTheFieldsFormAndOrder) {
  EXPECT_EQ(aggregate_json(example_snapshot(), json::Style::kCompact, "/s.json"),
            R"({"timestamp":"2025-04-23T12:00:00.123","proxyAgentStatus":{"version":"0.1.0","status":"SUCCESS",)"
            R"("monitorStatus":{"status":"RUNNING","message":"Aggregate status written to status file: /s.json"},)"
            R"("keyLatchStatus":{"status":"RUNNING","message":"key is in use","states":{)"
            R"("secureChannelState":"WireServer Enforce -  IMDS Enforce - HostGA Enforce",)"
            R"("keyGuid":"7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11","keyIncarnationId":"3",)"
            R"("imdsRuleId":"rules-v7","wireServerRuleId":"rules-ws-2","hostGARuleId":"rules-ws-2"}},)"
            R"("ebpfProgramStatus":{"status":"RUNNING","message":"2 kernel hooks are attached to /sys/fs/cgroup"},)"
            R"("proxyListenerStatus":{"status":"RUNNING","message":"Listening on 127.0.0.1:3080"},)"
            R"("telemetryLoggerStatus":{"status":"UNKNOWN","message":"Status unknown."},"proxyConnectionsCount":42},)"
            R"("proxyConnectionSummary":[{"userName":"root","ip":"168.63.129.16","port":80,)"
            R"("processCmdLine":"/usr/bin/walinuxagent -daemon","responseStatus":"200 OK","count":17,)"
            R"("userGroups":["root"],"processFullPath":"/usr/bin/python3.12"}],"failedAuthenticateSummary":[]})");
}

TEST(Report, SuccessIsSaidOnlyWithAKeyOrADisabledChannel) {
  Snapshot s = example_snapshot();
  const auto overall = [&] {
    return at(parsed(aggregate_json(s, json::Style::kPretty, "")), "/proxyAgentStatus/status");
  };
  EXPECT_EQ(overall(), "\"SUCCESS\"");
  s.listener.listening = false;
  EXPECT_EQ(overall(), "\"ERROR\"");
  s.listener.listening = true;
  s.channel.key_guid.clear();
  s.channel.phase = "refused";
  EXPECT_EQ(overall(), "\"ERROR\"");
  EXPECT_EQ(at(parsed(aggregate_json(s, json::Style::kPretty, "")), "/proxyAgentStatus/keyLatchStatus/states/keyGuid"),
            "(none)");
  s.channel.phase = "unknown";
  EXPECT_EQ(overall(), "\"ERROR\"");
  s.channel.phase = "disabled";
  EXPECT_EQ(overall(), "\"SUCCESS\"");
  s.interception.hooks.clear();
  EXPECT_EQ(overall(), "\"ERROR\"");
}

void names_of(const json::Value& value, std::set<std::string>& out) {
  if (const json::Object* object = value.object()) {
    for (const json::Member& member : object->members) {
      out.insert(member.name);
      if (member.name != "outcomes" && member.name != "kernel") {
        names_of(member.value, out);
      }
    }
  } else if (const json::Array* array = value.array()) {
    for (const json::Value& item : *array) {
      names_of(item, out);
    }
  }
}

TEST(Report, DocumentationNamesEveryMember) {
  std::ifstream in(std::string(MSP_SOURCE_DIR) + "/docs/status.md");
  const std::string page{std::istreambuf_iterator<char>(in), {}};
  std::set<std::string> names;
  Snapshot with_problem = example_snapshot();
  with_problem.listener.listening = false;
  names_of(parsed(status_json(with_problem)), names);
  EXPECT_GT(names.size(), 40U);
  for (const std::string& name : names) {
    EXPECT_THAT(page, HasSubstr("`" + name + "`"));
  }
}

TEST(Report, LongMessagesAreCutAtACharacter) {
  Snapshot s = example_snapshot();
  s.channel.message = std::string(1023, 'x') + "\xC3\xA4\xC3\xA4";
  EXPECT_EQ(at(parsed(aggregate_json(s, json::Style::kCompact, "")), "/proxyAgentStatus/keyLatchStatus/message"),
            "\"" + std::string(1023, 'x') + "...\"");
}

}  // namespace
}  // namespace msp::status
