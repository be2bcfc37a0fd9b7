// SPDX-License-Identifier: Apache-2.0
#include "content/guest_reports.h"

#include <gtest/gtest.h>

namespace msp::content {
namespace {

AgentStatus of_size(std::size_t size) {
  return {.state = "Ready", .version = "1", .message = {}, .document = std::string(size, ' ')};
}

TEST(GuestReports, KeepsTheNewestDocumentsUpToItsBound) {
  GuestReports reports(100);
  reports.status("a", of_size(40), 1);
  reports.status("b", of_size(40), 2);
  reports.status("a", of_size(30), 3);
  EXPECT_EQ(reports.bytes(), 70U);
  reports.status("c", of_size(40), 4);
  EXPECT_EQ(reports.bytes(), 70U);
  EXPECT_EQ(reports.find("b")->status.document, "") << "the oldest went";
  EXPECT_EQ(reports.find("b")->status.state, "Ready") << "what it says in short stays";
  EXPECT_EQ(reports.find("a")->status.document.size(), 30U);
  reports.status("d", of_size(101), 5);
  EXPECT_EQ(reports.bytes(), 0U) << "one that is larger than all of it is not kept, either";
}

TEST(GuestReports, ForgetsAMachine) {
  GuestReports reports(100);
  reports.status("a", of_size(40), 1);
  reports.log("a", 7, 2);
  EXPECT_EQ(reports.find("a")->logs.bytes, 7U);
  reports.forget("a");
  reports.forget("a");
  EXPECT_EQ(reports.bytes(), 0U);
  EXPECT_EQ(reports.find("a"), nullptr);
}

TEST(GuestReports, KeepsOfAUserAgentItsProductOnly) {
  GuestReports reports(100);
  reports.health("a", {.container_id = {}, .state = "Ready", .sub_status = {}, .description = {}},
                 std::string(100, 'x') + " more", 5);
  EXPECT_EQ(reports.find("a")->health_by, std::string(64, 'x'));
  EXPECT_EQ(reports.find("a")->health_ns, 5);
}

}  // namespace
}  // namespace msp::content
