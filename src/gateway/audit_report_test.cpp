// SPDX-License-Identifier: Apache-2.0
#include "gateway/audit_report.h"

#include <gtest/gtest.h>

namespace msp::gateway {
namespace {

protocol::Caller caller(std::uint32_t uid) {
  protocol::Caller out;
  out.uid = uid;
  return out;
}

TEST(AuditReports, AlikeAreOneRow) {
  AuditReports reports;
  EXPECT_EQ(reports.find("a"), nullptr);
  const protocol::Caller one = caller(1);
  reports.note("a", Service::kImds, "", false, &one, 10);
  reports.note("a", Service::kImds, "no_rule", true, &one, 20);
  reports.note("a", Service::kImds, "no_rule", true, &one, 30);
  reports.note("a", Service::kImds, "unsigned", false, nullptr, 40);
  reports.note("a", Service::kWireServer, "no_rule", true, &one, 50);
  const auto* report = reports.find("a");
  ASSERT_NE(report, nullptr);
  EXPECT_EQ(report->looked_at, 5U);
  EXPECT_EQ(report->since_ns, 10);
  EXPECT_TRUE(report->names_callers);
  ASSERT_EQ(report->rows.size(), 3U);
  EXPECT_EQ(report->rows[0].count, 2U);
  EXPECT_EQ(report->rows[0].first_ns, 20);
  EXPECT_EQ(report->rows[0].last_ns, 30);
  EXPECT_FALSE(report->rows[1].caller_known);
  EXPECT_EQ(reports.find("b"), nullptr);
  reports.forget("a");
  EXPECT_EQ(reports.find("a"), nullptr);
}

TEST(AuditReports, RowsAreBoundedForOneAndForAll) {
  AuditReports reports;
  const auto fill = [&](const std::string& machine) {
    for (std::uint32_t uid = 0; uid < AuditReports::kMostRows + 3; ++uid) {
      const protocol::Caller one = caller(uid);
      reports.note(machine, Service::kImds, "no_rule", true, &one, 1);
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
