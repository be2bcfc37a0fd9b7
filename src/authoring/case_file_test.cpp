// SPDX-License-Identifier: Apache-2.0
#include "authoring/case_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace msp::authoring {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(CaseFile, EveryMemberIsRead) {
  const auto file = read_cases(R"({"rules":"r.json","matching":"shadow","service":"imds","cases":[
    {"name":"short","as":"alice","request":"GET /a","expect":"permit"},
    {"name":"long","as":{"user":"bob","uid":7,"groups":["g"],"exe":"/x","process":"p","cgroup":"/c","unit":"u.service",
      "container":"0123456789ab"},"service":"wireserver","matching":"off","request":"PUT /b?c=d",
     "expect":{"outcome":"deny","status":403,"code":"no_rule","privilege":"p"}},
    {"name":"url","as":{"uid":9},"request":"GET http://168.63.129.16:32526/x","expect":"audit"}]})",
                               "f");
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_EQ(file->rules_path, "r.json");
  EXPECT_EQ(file->matching, policy::Matching::kShadow);
  ASSERT_EQ(file->cases.size(), 3U);
  EXPECT_EQ(file->cases[0].caller.user, "alice");
  EXPECT_EQ(file->cases[0].url.service, Service::kImds);
  const Case& one = file->cases[1];
  EXPECT_EQ(one.caller.uid, 7U);
  EXPECT_EQ(one.caller.groups, std::vector<std::string>{"g"});
  EXPECT_EQ(one.caller.container, "0123456789ab");
  EXPECT_EQ(one.url.service, Service::kWireServer);
  EXPECT_EQ(one.url.target, "/b?c=d");
  EXPECT_EQ(one.matching, policy::Matching::kOff);
  EXPECT_EQ(one.expected.outcome, Outcome::kDeny);
  EXPECT_EQ(one.expected.status, 403);
  EXPECT_EQ(file->cases[2].url.service, Service::kHostGaPlugin);
  EXPECT_EQ(file->cases[2].expected.outcome, Outcome::kAudit);
}

TEST(CaseFile, RulesInTheFileKeepTheirPlace) {
  const auto file = read_cases(
      "{\"cases\":[{\"name\":\"a\",\"as\":\"x\",\"request\":\"GET http://169.254.169.254/\","
      "\"expect\":\"deny\"}],\n \"rules\":{\"mode\":7}}",
      "f");
  ASSERT_TRUE(file) << file.error().text();
  EXPECT_EQ(file->rules_text.find("{\"mode\":7}"), file->rules_text.rfind('\n') + 10);
  EXPECT_EQ(std::ranges::count(file->rules_text, '\n'), 1);
}

TEST(CaseFile, AllThatIsWrongIsToldAtOnce) {
  const auto file = read_cases(R"({"matchng":"off","service":"imdss","cases":[
    {"name":"a","as":{"user":"x","exee":"/x"},"request":"GET","expect":"perhaps"},
    {"name":"b","as":{},"request":"GET /x","expect":{"status":"200"}},
    {"as":"y","request":"GET ftp://x"}]})",
                               "f");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message,
              AllOf(HasSubstr("/matchng at line 1"), HasSubstr("/service at line 1"), HasSubstr("/cases/0/as/exee"),
                    HasSubstr("/cases/0/request at line 2"), HasSubstr("/cases/0/expect"), HasSubstr("/cases/1/as"),
                    HasSubstr("does not say which service"), HasSubstr("/cases/1/expect/status"),
                    HasSubstr("/cases/2/name"), HasSubstr("/cases/2/request"), HasSubstr("/cases/2/expect")));
  EXPECT_FALSE(read_cases("{}", "f")) << "no cases are no test";
}

TEST(CaseFile, APlaceThatNoProcessCanHaveIsAMistake) {
  const auto file = read_cases(R"({"service":"imds","cases":[
    {"name":"a","as":{"user":"x","unit":"foo","cgroup":"foo","container":"zz"},"request":"GET /","expect":"deny"},
    {"name":"b","as":{"user":"x","cgroup":"/"},"request":"GET /","expect":"deny"}]})",
                               "f");
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, AllOf(HasSubstr("/cases/0/as/unit at line 2"), HasSubstr("/cases/0/as/cgroup"),
                                          HasSubstr("/cases/0/as/container"), HasSubstr("f: 3 problems")));
}

TEST(CaseFile, OnlyWhatIsExpectedMustHold) {
  Judgement found;
  found.status = 403;
  found.code = "no_rule";
  EXPECT_EQ(difference({.outcome = Outcome::kDeny, .status = {}, .code = {}, .privilege = {}}, found), "");
  EXPECT_EQ(difference({.outcome = Outcome::kDeny, .status = 403, .code = "no_rule", .privilege = ""}, found), "");
  EXPECT_THAT(difference({.outcome = Outcome::kPermit, .status = {}, .code = {}, .privilege = {}}, found),
              HasSubstr("expected permit, found deny"));
  EXPECT_THAT(difference({.outcome = Outcome::kDeny, .status = 400, .code = {}, .privilege = {}}, found),
              HasSubstr("400"));
  EXPECT_THAT(difference({.outcome = Outcome::kDeny, .status = {}, .code = "x", .privilege = {}}, found),
              HasSubstr("\"x\""));
  EXPECT_THAT(difference({.outcome = Outcome::kDeny, .status = {}, .code = {}, .privilege = "p"}, found),
              HasSubstr("\"p\""));
}

}  // namespace
}  // namespace msp::authoring
