// SPDX-License-Identifier: Apache-2.0
#include "status/provision.h"

#include <gtest/gtest.h>

namespace msp::status {
namespace {

constexpr std::string_view kYes = R"({"finished":true,"errorMessage":""})";
constexpr std::string_view kNo = R"({"finished":false,"errorMessage":""})";

std::string finished(std::int64_t finished_tick, std::string_view tick, bool wanted = false) {
  return answer_provision({.finished_tick_ns = finished_tick, .channel_wanted = wanted, .error_message = {}},
                          {.has_metadata = true, .time_tick = tick})
      .body;
}

TEST(Provision, MetadataHeaderIsDemanded) {
  EXPECT_EQ(answer_provision({}, {}).status, 400);
  EXPECT_EQ(answer_aggregate_status(false, true, "{}").status, 400);
}

TEST(Provision, FinishedByTick) {
  EXPECT_EQ(finished(0, "1"), kNo);
  EXPECT_EQ(finished(100, "100"), kYes);
  EXPECT_EQ(finished(100, "101"), kNo);
  EXPECT_EQ(finished(100, "101", true), kYes) << "a finished channel in use counts, whatever the tick";
  EXPECT_EQ(finished(0, "101", true), kNo) << "but not before the first finish";
}

TEST(Provision, WhatIsNoTickCountsAsZero) {
  for (const std::string_view tick : {"", "x", "-", "1x", "1.5", " 1", "170141183460469231731687303715884105728"}) {
    EXPECT_EQ(finished(0, tick), kYes) << tick;
  }
}

TEST(Provision, TicksOf128BitsAreRead) {
  EXPECT_EQ(finished(100, "170141183460469231731687303715884105727"), kNo);
  EXPECT_EQ(finished(0, "-170141183460469231731687303715884105728"), kYes);
  EXPECT_EQ(finished(100, "9223372036854775808"), kNo);
  EXPECT_EQ(finished(100, "+000000000000000000000000000000000000000000000000101"), kNo);
}

TEST(Provision, NotifyCountsFromRootOnlyAndOnlyWhileUnfinished) {
  const ProvisionRequest base{.has_metadata = true, .time_tick = "5", .has_notify = true, .elevated = true};
  EXPECT_TRUE(answer_provision({}, base).wake_poll);
  ProvisionRequest other = base;
  other.elevated = false;
  EXPECT_FALSE(answer_provision({}, other).wake_poll);
  other = base;
  other.has_notify = false;
  EXPECT_FALSE(answer_provision({}, other).wake_poll);
  EXPECT_FALSE(answer_provision({.finished_tick_ns = 5, .channel_wanted = false, .error_message = {}}, base).wake_poll);
}

TEST(Provision, AggregateStatusIsForRoot) {
  EXPECT_EQ(answer_aggregate_status(true, true, "{\"a\":1}").body, "{\"a\":1}");
  const LocalAnswer refused = answer_aggregate_status(true, false, "{\"a\":1}");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.body, "");
  EXPECT_EQ(refused.error_code, "not_elevated");
}

TEST(Provisioning, FinishesWhenAllFlagsAreThereAndRefreshesLater) {
  Provisioning p(0);
  EXPECT_FALSE(p.report(Provisioning::kRedirector, 1));
  EXPECT_FALSE(p.report(Provisioning::kListener, 2));
  EXPECT_EQ(p.finished_tick_ns(), 0);
  EXPECT_EQ(p.error_text({.redirector = "r", .key = "no <key>", .listener = "l"}), "keyLatchStatus - no <key>\r\n");
  EXPECT_TRUE(p.report(Provisioning::kKeyLatch, 3));
  EXPECT_EQ(p.finished_tick_ns(), 3);
  EXPECT_EQ(p.error_text({}), "");
  EXPECT_TRUE(p.report(Provisioning::kKeyLatch, 9));
  EXPECT_EQ(p.finished_tick_ns(), 9);
  EXPECT_FALSE(p.check_timeout(1'000'000, 10));
}

TEST(Provisioning, TimesOutOnceAndNamesWhatIsMissing) {
  Provisioning p(1'000);
  p.report(Provisioning::kListener, 1);
  EXPECT_FALSE(p.check_timeout(121'000, 5));
  EXPECT_TRUE(p.check_timeout(121'001, 6));
  EXPECT_FALSE(p.check_timeout(121'002, 7));
  EXPECT_EQ(p.finished_tick_ns(), 6);
  EXPECT_EQ(p.error_text({.redirector = "a", .key = "b", .listener = "c"}),
            "ebpfProgramStatus - a\r\nkeyLatchStatus - b\r\n");
}

TEST(Provisioning, RestartAsksForTheKeyAnew) {
  Provisioning p(0);
  for (const auto flag : {Provisioning::kRedirector, Provisioning::kKeyLatch, Provisioning::kListener}) {
    p.report(flag, 3);
  }
  p.restart(50'000);
  EXPECT_FALSE(p.has(Provisioning::kKeyLatch));
  EXPECT_TRUE(p.has(Provisioning::kListener));
  EXPECT_EQ(p.finished_tick_ns(), 0);
  EXPECT_FALSE(p.check_timeout(170'000, 4));
  EXPECT_TRUE(p.check_timeout(170'001, 4));
  p.restart(200'000);
  EXPECT_TRUE(p.check_timeout(320'001, 5)) << "said again";
}

TEST(Provisioning, XmlEscape) { EXPECT_EQ(xml_escape("a<&'\">b"), "a&lt;&amp;&apos;&quot;&gt;b"); }

}  // namespace
}  // namespace msp::status
