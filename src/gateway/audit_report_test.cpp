// SPDX-License-Identifier: Apache-2.0
#include "gateway/audit_report.h"

#include <gtest/gtest.h>

namespace msp::gateway {
namespace {

protocol::Caller caller(std::uint32_t uid, std::string denied = "no_rule") {
  protocol::Caller out;
  out.uid = uid;
  out.denied = std::move(denied);
  return out;
}

TEST(AuditReports, AlikeAreOneRow) {
  AuditReports reports;
  EXPECT_EQ(reports.find("a"), nullptr);
  const protocol::Caller good = caller(1, "");
  const protocol::Caller denied = caller(1);
  reports.audited("a", {.caller = &good, .now_ns = 10});
  reports.audited("a", {.caller = &denied, .now_ns = 20});
  reports.audited("a", {.caller = &denied, .now_ns = 30});
  reports.audited("a", {.reason = Reason::kUnsigned, .now_ns = 40});
  reports.audited("a", {.service = Service::kWireServer, .caller = &denied, .now_ns = 50});
  const auto* report = reports.find("a");
  ASSERT_NE(report, nullptr);
  EXPECT_EQ(report->looked_at, 5U);
  EXPECT_EQ(report->since_ns, 10);
  EXPECT_TRUE(report->names_callers);
  ASSERT_EQ(report->rows.size(), 3U);
  EXPECT_TRUE(report->rows[0].by_rules());
  EXPECT_EQ(report->rows[0].count, 2U);
  EXPECT_EQ(report->rows[0].first_ns, 20);
  EXPECT_EQ(report->rows[0].last_ns, 30);
  EXPECT_FALSE(report->rows[1].by_rules());
  EXPECT_FALSE(report->rows[1].caller_known);
  EXPECT_EQ(reports.find("b"), nullptr);
  reports.forget("a");
  EXPECT_EQ(reports.find("a"), nullptr);
}

TEST(AuditReports, WhatWasRefusedIsToldFromWhatWouldBe) {
  AuditReports reports;
  reports.audited("a", {.reason = Reason::kUnsigned, .now_ns = 1});
  reports.refused("a", {.reason = Reason::kUnsigned, .now_ns = 2});
  reports.refused("a", {.reason = Reason::kTooMany, .now_ns = 3});
  const auto* report = reports.find("a");
  ASSERT_NE(report, nullptr);
  EXPECT_EQ(report->looked_at, 1U) << "requests to services in audit mode only";
  ASSERT_EQ(report->rows.size(), 3U);
  EXPECT_FALSE(report->rows[0].was_refused);
  EXPECT_TRUE(report->rows[1].was_refused);
  EXPECT_TRUE(report->rows[2].was_refused);
}

TEST(AuditReports, OfTheLastRequestMoreIsKept) {
  AuditReports reports;
  const std::string long_path(AuditReports::kMostPath + 1, 'p');
  reports.refused("a", {.reason = Reason::kUnsigned, .method = "GET", .path = "/a", .request_id = "1", .now_ns = 1});
  reports.refused("a",
                  {.reason = Reason::kUnsigned, .method = "POST", .path = long_path, .request_id = "2", .now_ns = 2});
  const AuditRow& row = reports.find("a")->rows.at(0);
  EXPECT_EQ(row.count, 2U);
  EXPECT_EQ(row.method, "POST");
  EXPECT_EQ(row.path, long_path.substr(0, AuditReports::kMostPath));
  EXPECT_EQ(row.request_id, "2");
}

TEST(AuditReports, RowsAreBoundedForOneAndForAll) {
  AuditReports reports;
  const auto fill = [&](const std::string& machine) {
    for (std::uint32_t uid = 0; uid < AuditReports::kMostRows + 3; ++uid) {
      const protocol::Caller one = caller(uid);
      const Seen seen{.caller = &one, .now_ns = 1};
      uid % 2 == 0 ? reports.audited(machine, seen) : reports.refused(machine, seen);
    }
    return reports.find(machine);
  };
  const auto* first = fill("0");
  EXPECT_EQ(first->rows.size(), AuditReports::kMostRows);
  EXPECT_EQ(first->others, 3U);
  for (std::size_t i = 1; i <= AuditReports::kMostRowsOfAll / AuditReports::kMostRows; ++i) {
    fill(std::to_string(i));
  }
  EXPECT_TRUE(fill("late")->rows.empty());
  reports.forget("0");
  EXPECT_EQ(fill("later")->rows.size(), AuditReports::kMostRows) << "what is forgotten makes room";
}

}  // namespace
}  // namespace msp::gateway
