// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include "base/json.h"
#include "cli/policy_common.h"
#include "cli/test_files.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string rules_for(std::string_view user) {
  return R"({"imds":{"defaultAccess":"deny","mode":"enforce","id":"v3","rules":{
    "privileges":[{"name":"p","path":"/metadata"}],"roles":[{"name":"r","privileges":["p"]}],
    "identities":[{"name":"i","userName":")" +
         std::string(user) + R"("}],"roleAssignments":[{"role":"r","identities":["i"]}]}}})";
}

constexpr std::string_view kLog =
    R"({"time":"2026-11-24T19:00:00.000000Z","event":"start","previous_end":"none","version":"0.1.0","pid":7}
{"time":"2026-11-24T19:00:00.000001Z","request_id":"0123456789ab-000000000001","connection":1,"decision":"permit","status":200,"service":"imds","method":"GET","target":"/metadata/instance","client":"127.0.0.1:4000","uid":1000,"gid":1000,"user":"alice","pid":5,"start_time_ns":5,"exe":"/usr/bin/curl","process":"curl","cgroup_id":1,"rule_set":"v2","bytes_in":0,"bytes_out":3,"duration_us":9}
half a li
{"time":"2026-11-24T19:00:00.000002Z","request_id":"0123456789ab-000000000002","connection":2,"decision":"deny","status":403,"reason":"identity_mismatch","service":"imds","method":"GET","target":"/metadata/instance","client":"127.0.0.1:4001","uid":1001,"gid":1001,"user":"bob\u001b[2J","pid":6,"start_time_ns":5,"exe":"/usr/bin/wget","process":"wget","cgroup_id":1,"bytes_in":0,"bytes_out":3,"duration_us":9}
{"time":"2026-11-24T19:00:00.0000)";

class PolicySimulate : public TestFiles {
 protected:
  std::string log = write("audit.jsonl", kLog);
  std::string alice = write("alice.json", rules_for("alice"));
  std::string carol = write("carol.json", rules_for("carol"));
};

TEST_F(PolicySimulate, AnAuditLogIsReadAsItIs) {
  const Outcome outcome = policy({"simulate", "--requests", log, "--rules", alice, "--expect-unchanged"});
  EXPECT_EQ(outcome.code, kExitOk) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("5 lines: 2 requests, 1 events of the log, 2 unusable"));
  EXPECT_THAT(outcome.out, HasSubstr("audit.jsonl, line 3: no JSON"));
  EXPECT_THAT(outcome.out, HasSubstr("audit.jsonl, line 5: the last line is incomplete"));
  EXPECT_THAT(outcome.out, HasSubstr("1 permit, 0 audit, 1 deny"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b"))) << "names cannot steer the terminal";
}

TEST_F(PolicySimulate, DifferencesFromTheRecordAreFindingsIfSaidSo) {
  EXPECT_EQ(policy({"simulate", "--requests", log, "--rules", carol}).code, kExitOk);
  const Outcome outcome = policy({"simulate", "--requests", log, "--rules", carol, "--expect-unchanged"});
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_THAT(outcome.out, HasSubstr("1 requests end differently than with what is recorded"));
  EXPECT_THAT(outcome.out, HasSubstr("permit -> deny"));
}

TEST_F(PolicySimulate, TwoVersionsAreCompared) {
  EXPECT_EQ(policy({"simulate", "--requests", log, "--rules", alice, "--against", alice}).code, kExitOk);
  const Outcome outcome = policy({"simulate", "--json", "--requests", log, "--rules", alice, "--against", carol});
  EXPECT_EQ(outcome.code, kExitFindings);
  const auto shown = json::parse(outcome.out);
  ASSERT_TRUE(shown.ok()) << outcome.out;
  EXPECT_EQ(shown->find("changed")->int64(), 1);
  EXPECT_EQ(*shown->at("/groups/0/before")->string(), "deny");
  EXPECT_EQ(*shown->at("/groups/0/outcome")->string(), "permit");
  EXPECT_EQ(*shown->at("/groups/0/rule")->string(), "p / r / i");
  EXPECT_EQ(shown->at("/unusableLines/0/line")->int64(), 3);
}

TEST_F(PolicySimulate, WhatCannotBeToldIsAFindingOfItsOwn) {
  const auto in_group = [this](const std::string& name, std::string_view group) {
    std::string text = rules_for("alice");
    text.replace(text.find("\"userName\""), 0, R"("groupName":")" + std::string(group) + "\",");
    return write(name, text);
  };
  const std::string ops = in_group("ops.json", "ops");
  const std::string dev = in_group("dev.json", "dev");
  EXPECT_EQ(policy({"simulate", "--requests", log, "--rules", ops}).code, kExitOk);
  Outcome outcome = policy({"simulate", "--requests", log, "--rules", ops, "--expect-unchanged"});
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_THAT(outcome.out, HasSubstr("0 requests end differently"));
  EXPECT_THAT(outcome.out, HasSubstr("1 requests: cannot tell whether they end differently"));
  EXPECT_THAT(outcome.out, HasSubstr("permit -> ?"));
  EXPECT_THAT(outcome.out, HasSubstr("0 permit, 0 audit, 1 deny, 1 cannot be told"));
  EXPECT_THAT(outcome.out, HasSubstr("not known: groups"));
  outcome = policy({"simulate", "--json", "--requests", log, "--rules", ops, "--against", dev});
  EXPECT_EQ(outcome.code, kExitFindings);
  const auto shown = json::parse(outcome.out);
  ASSERT_TRUE(shown.ok()) << outcome.out;
  EXPECT_EQ(shown->find("changed")->int64(), 0);
  EXPECT_EQ(shown->find("cannotTell")->int64(), 1);
  EXPECT_EQ(*shown->at("/groups/0/change")->string(), "unknown");
  EXPECT_EQ(*shown->at("/groups/0/outcome")->string(), "unknown");
  EXPECT_EQ(*shown->at("/groups/0/unsaid")->string(), "groups");
  EXPECT_EQ(policy({"simulate", "--requests", log, "--rules", ops, "--against", ops}).code, kExitOk);
}

TEST_F(PolicySimulate, SeveralFilesAndTheSimpleForm) {
  const std::string simple = write(
      "simple.jsonl", "{\"as\":\"alice\",\"request\":\"GET http://169.254.169.254/metadata\",\"expect\":\"deny\"}\n");
  const Outcome outcome =
      policy({"simulate", "--requests", log, "--requests", simple, "--rules", alice, "--expect-unchanged"});
  EXPECT_EQ(outcome.code, kExitFindings);
  EXPECT_THAT(outcome.out, HasSubstr("6 lines: 3 requests"));
  EXPECT_THAT(outcome.out, HasSubstr("deny -> permit"));
}

TEST_F(PolicySimulate, ALineWithoutEndIsSkippedAndNamed) {
  const std::string huge = write("huge.jsonl", std::string(3 << 20, 'x') + "\n" + std::string(kLog));
  const Outcome outcome = policy({"simulate", "--requests", huge, "--rules", alice});
  EXPECT_EQ(outcome.code, kExitOk);
  EXPECT_THAT(outcome.out, HasSubstr("line 1: longer than 1048576 bytes"));
  EXPECT_THAT(outcome.out, HasSubstr("6 lines: 2 requests"));
}

TEST_F(PolicySimulate, UnusableInput) {
  const std::string single = write("single.json", R"({"defaultAccess":"deny","mode":"enforce","id":"x"})");
  Outcome outcome = policy({"simulate", "--requests", log, "--rules", single});
  EXPECT_EQ(outcome.code, kExitUnusable);
  EXPECT_THAT(outcome.err, HasSubstr("say --service"));
  EXPECT_EQ(policy({"simulate", "--requests", log, "--rules", single, "--service", "imds"}).code, kExitOk);
  outcome = policy({"simulate", "--json", "--requests", alice, "--rules", alice});
  EXPECT_EQ(outcome.code, kExitUnusable);
  EXPECT_THAT(outcome.err, HasSubstr("none of 3 lines is a request"));
  EXPECT_TRUE(json::parse(outcome.out).ok()) << "one object, not two";
  EXPECT_EQ(policy({"simulate", "--requests", path("none"), "--rules", alice}).code, kExitUnusable);
  EXPECT_EQ(policy({"simulate", "--requests", "-", "--rules", "-"}).code, kExitUnusable);
  EXPECT_EQ(policy({"simulate", "--rules", alice}).code, kExitUnusable);
}

TEST_F(PolicySimulate, ServiceSaysWhoIsAskedByAPath) {
  const std::string lines = write("paths.jsonl", R"({"as":"alice","request":"GET /metadata"})");
  EXPECT_THAT(policy({"simulate", "--requests", lines, "--rules", alice}).err, HasSubstr("say --service imds"));
  const Outcome said = policy({"simulate", "--requests", lines, "--rules", alice, "--service", "imds"});
  EXPECT_EQ(said.code, kExitOk) << said.err;
  EXPECT_THAT(said.out, HasSubstr("1 lines: 1 requests"));
}

}  // namespace
}  // namespace msp::cli
