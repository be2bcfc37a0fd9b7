// SPDX-License-Identifier: Apache-2.0
// What the agent's own writer puts into the audit log, the tools for authors read.
#include <gtest/gtest.h>

#include "audit/sink.h"
#include "authoring/request_line.h"

namespace msp {
namespace {

using authoring::Outcome;
using authoring::RequestLine;

RequestLine through_the_log(const audit::Record& record) {
  audit::CollectingSink sink;
  sink.write(record);
  return authoring::read_request_line(sink.lines.at(0));
}

audit::Record record() {
  audit::Record out;
  out.decision = audit::Decision::kPermit;
  out.status = 200;
  out.has_caller = true;
  out.uid = 4294967294U;
  out.service = "hostga";
  out.method = "GET";
  out.target = "/metadata/\x1b\"\\?a=b&sig=SECRET";
  out.user = "al\"ice";
  out.exe = "/usr/bin/c\xffrl";
  out.process = "worker-3";
  return out;
}

TEST(AuditLines, WhatTheAgentWritesIsRead) {
  const RequestLine line = through_the_log(record());
  ASSERT_EQ(line.kind, RequestLine::Kind::kRequest) << line.why;
  EXPECT_EQ(line.service, Service::kHostGaPlugin);
  EXPECT_EQ(line.method, "GET");
  EXPECT_EQ(line.target, "/metadata/\x1b\"\\?a=b&sig=redacted");
  EXPECT_TRUE(line.redacted);
  EXPECT_EQ(line.caller.user, "al\"ice");
  EXPECT_EQ(line.caller.uid, 4294967294U);
  EXPECT_EQ(line.caller.exe, "/usr/bin/c\xef\xbf\xbdrl");
  EXPECT_EQ(line.recorded, Outcome::kPermit);
}

TEST(AuditLines, DecisionsKeepTheirMeaning) {
  audit::Record one = record();
  one.decision = audit::Decision::kAudit;
  one.reason = "no_rule";
  EXPECT_EQ(through_the_log(one).recorded, Outcome::kAudit);
  one.decision = audit::Decision::kDeny;
  EXPECT_EQ(through_the_log(one).recorded, Outcome::kDeny);
  one.reason = "upstream_failed";
  EXPECT_EQ(through_the_log(one).recorded, std::nullopt);
  one.has_caller = false;
  one.reason = "no_identity";
  EXPECT_EQ(through_the_log(one).kind, RequestLine::Kind::kNotForRules);
  one = record();
  one.service = "local";
  EXPECT_EQ(through_the_log(one).kind, RequestLine::Kind::kNotForRules);
}

}  // namespace
}  // namespace msp
