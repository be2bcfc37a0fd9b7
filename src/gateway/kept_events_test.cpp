// SPDX-License-Identifier: Apache-2.0
#include "gateway/kept_events.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "gateway/model_store.h"

namespace msp::gateway {
namespace {

constexpr const char* kVmId = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";

content::ScheduledEvent reboot() {
  return {.id = {}, .type = "Reboot", .source = "User", .description = "d", .not_before = 1000, .duration_seconds = 9};
}

class KeptEventsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "kept_events_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    auto model = parse_model(R"({"name":"v","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc96401"}})", "model");
    ASSERT_TRUE(model);
    auto vm = make_vm(std::move(*model), {});
    ASSERT_TRUE(vm);
    vm->addresses = {{10, 0, 0, 1}};
    ASSERT_TRUE(registry_.add(std::move(*vm)));
    restart();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void restart() {
    store_.reset();
    auto opened = open_sqlite_store(directory_ + "/host.db");
    ASSERT_TRUE(opened) << opened.error().text();
    store_ = std::move(*opened);
    events_.emplace();
    const auto read = events_->open(*store_, registry_);
    ASSERT_TRUE(read) << read.error().text();
  }
  const content::ScheduledEvents::OfOne& now() { return events_->at(kVmId, 0); }

  std::string directory_;
  std::unique_ptr<HostStore> store_;
  VmRegistry registry_;
  std::optional<KeptEvents> events_;
};

TEST_F(KeptEventsTest, WhatIsScheduledApprovedAndEndedOutlivesTheHost) {
  const auto first = events_->add(kVmId, reboot());
  const auto second = events_->add(kVmId, reboot());
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(events_->approve(kVmId, {*second}));
  const std::uint64_t incarnation = now().incarnation;
  restart();
  ASSERT_EQ(now().events.size(), 2U);
  EXPECT_EQ(now().incarnation, incarnation) << "a guest that compares it sees no change";
  EXPECT_EQ(now().events[0].id, *first);
  EXPECT_FALSE(now().events[0].started);
  EXPECT_TRUE(now().events[1].started);
  EXPECT_EQ(now().events[1].description, "d");
  const auto ended = events_->end(kVmId, *first);
  EXPECT_TRUE(ended && *ended);
  const auto again = events_->end(kVmId, *first);
  EXPECT_TRUE(again && !*again);
  restart();
  ASSERT_EQ(now().events.size(), 1U);
  EXPECT_EQ(now().incarnation, incarnation + 1);
  events_->forget(kVmId);
  restart();
  EXPECT_TRUE(now().events.empty());
}

TEST_F(KeptEventsTest, ADamagedRecordRefusesNoStart) {
  ASSERT_TRUE(events_->add(kVmId, reboot()));
  ASSERT_TRUE(store_->set_note(std::string("events:") + kVmId, "{"));
  restart();
  EXPECT_TRUE(now().events.empty());
  EXPECT_TRUE(events_->add(kVmId, reboot()));
}

}  // namespace
}  // namespace msp::gateway
