// SPDX-License-Identifier: Apache-2.0
#include "content/scheduled_events.h"

#include <gtest/gtest.h>

namespace msp::content {
namespace {

ScheduledEvent reboot(std::int64_t not_before) {
  ScheduledEvent event;
  event.type = "Reboot";
  event.not_before = not_before;
  return event;
}

TEST(ScheduledEvents, BeginWhenApprovedOrWhenTheirTimeHasCome) {
  ScheduledEvents events;
  const std::string first = *events.add("vm", reboot(100));
  const std::string second = *events.add("vm", reboot(200));
  EXPECT_EQ(events.at("other", 0).events.size(), 0U);
  const std::uint64_t before = events.at("vm", 50).incarnation;
  EXPECT_FALSE(events.at("vm", 50).events[0].started);
  EXPECT_FALSE(events.approve("vm", {second, "none"})) << "all or nothing";
  EXPECT_FALSE(events.approve("other", {second}));
  EXPECT_FALSE(events.approve("vm", {}));
  EXPECT_EQ(events.at("vm", 50).incarnation, before);
  EXPECT_TRUE(events.approve("vm", {second}));
  EXPECT_TRUE(events.approve("vm", {second})) << "once more is the same";
  EXPECT_EQ(events.at("vm", 99).incarnation, before + 1);
  EXPECT_FALSE(events.at("vm", 99).events[0].started);
  EXPECT_TRUE(events.at("vm", 100).events[0].started);
  EXPECT_EQ(events.at("vm", 100).incarnation, before + 2);
  EXPECT_TRUE(events.end("vm", first));
  EXPECT_FALSE(events.end("vm", first));
  EXPECT_EQ(events.at("vm", 100).events.size(), 1U);
}

TEST(ScheduledEvents, AreBoundedForEachMachine) {
  ScheduledEvents events;
  for (std::size_t i = 0; i < ScheduledEvents::kMostForOne; ++i) {
    EXPECT_TRUE(events.add("vm", reboot(1)));
  }
  EXPECT_FALSE(events.add("vm", reboot(1)));
  EXPECT_TRUE(events.add("other", reboot(1)));
  events.forget("vm");
  EXPECT_TRUE(events.add("vm", reboot(1)));
}

TEST(ScheduledEvents, ARecordIsReadAsItWasWritten) {
  ScheduledEvents events;
  ScheduledEvent event = reboot(100);
  event.source = "User";
  event.description = "a \"b\"";
  event.duration_seconds = 9;
  const std::string id = *events.add("vm", event);
  EXPECT_TRUE(events.add("vm", reboot(200)));
  EXPECT_TRUE(events.approve("vm", {id}));
  const std::string record = events_record(events.kept("vm"));
  auto read = read_events_record(record);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->incarnation, events.kept("vm").incarnation);
  ASSERT_EQ(read->events.size(), 2U);
  EXPECT_TRUE(read->events[0].started);
  EXPECT_EQ(read->events[0].description, event.description);
  EXPECT_EQ(events_record(*read), record);
  for (const char* bad : {"", "{}", "[]", R"({"incarnation":0,"events":[]})", R"({"incarnation":1,"events":[{}]})"}) {
    EXPECT_FALSE(read_events_record(bad)) << bad;
  }
}

}  // namespace
}  // namespace msp::content
