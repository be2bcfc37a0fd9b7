// SPDX-License-Identifier: Apache-2.0
#include "audit/tally.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <array>

namespace msp::audit {
namespace {

constexpr std::int64_t kStart = 1'745'409'600'000'000'000;  // at the beginning of a quarter of an hour

Record record(std::int64_t quarters = 0, std::uint16_t status = 200) {
  Record out;
  out.time_ns = kStart + quarters * Tally::kBucketNs;
  out.status = status;
  out.decision = status == 403 ? Decision::kDeny : Decision::kPermit;
  out.has_caller = true;
  out.gid = 33;
  out.service = "imds";
  out.user = "www-data";
  out.exe = "/usr/bin/curl";
  out.process = "curl";
  return out;
}

void add(Tally& tally, const Record& record, bool alike = false) { Tally::Adding(tally).add(record, alike); }

std::vector<std::string> text(const std::vector<SummaryGroup>& groups) {
  std::vector<std::string> out;
  for (const SummaryGroup& g : groups) {
    out.push_back(fmt::format("{} {} {} {} {} {}: {}", g.user, g.gid, g.service, g.exe, g.process, g.status, g.count));
  }
  return out;
}

using Texts = std::vector<std::string>;

TEST(Tally, CountsAlikeTogetherAndTheMostFrequentFirst) {
  Tally tally;
  Record other = record();
  other.user = "root";
  add(tally, other);
  add(tally, record());
  add(tally, record(), true);
  add(tally, other);
  add(tally, record());
  const Summary summary = tally.list(kStart);
  EXPECT_EQ(text(summary.served),
            (Texts{"www-data 33 imds /usr/bin/curl curl 200: 3", "root 33 imds /usr/bin/curl curl 200: 2"}));
  EXPECT_TRUE(summary.refused.empty());
}

TEST(Tally, RefusalsAreInBothLists) {
  Tally tally;
  add(tally, record(0, 403));
  const Summary summary = tally.list(kStart);
  EXPECT_EQ(text(summary.served), Texts{"www-data 33 imds /usr/bin/curl curl 403: 1"});
  EXPECT_EQ(text(summary.refused), Texts{"www-data 33 imds /usr/bin/curl curl 403: 1"});
}

TEST(Tally, AuditModeIsARefusalThatWasServed) {
  Tally tally;
  Record audited = record(0, 404);
  audited.decision = Decision::kAudit;
  add(tally, audited);
  const Summary summary = tally.list(kStart);
  EXPECT_EQ(text(summary.served), Texts{"www-data 33 imds /usr/bin/curl curl 404: 1"});
  EXPECT_EQ(text(summary.refused), Texts{"www-data 33 imds /usr/bin/curl curl 403: 1"});
}

TEST(Tally, WhatIsNoRequestAndWhatIsAnsweredHereCountsNowhere) {
  Tally tally;
  for (const std::uint16_t status : std::to_array<std::uint16_t>({400, 408, 413, 414, 417, 431, 505})) {
    Record bad = record(0, status);
    bad.decision = Decision::kDeny;
    add(tally, bad);
    add(tally, bad, true);
  }
  Record local = record();
  local.service = "local";
  add(tally, local);
  EXPECT_TRUE(tally.list(kStart).served.empty());
  EXPECT_TRUE(tally.list(kStart).refused.empty());
  // The host's own 400 is an answer like any other.
  add(tally, record(0, 400));
  EXPECT_EQ(tally.list(kStart).served.size(), 1U);
}

TEST(Tally, APathThatClimbsIsNoMatterOfRules) {
  Tally tally;
  Record climbing = record(0, 403);
  climbing.reason = "path_traversal";
  add(tally, climbing);
  EXPECT_EQ(tally.list(kStart).served.size(), 1U);
  EXPECT_TRUE(tally.list(kStart).refused.empty());
}

TEST(Tally, AfterFourHoursACountIsForgotten) {
  Tally tally;
  for (std::int64_t quarter = 0; quarter < 40; ++quarter) {
    add(tally, record(quarter), quarter % 2 == 1);
    const std::uint64_t expected = std::min<std::uint64_t>(quarter + 1, Tally::kBuckets);
    EXPECT_EQ(tally.list(record(quarter).time_ns).served.at(0).count, expected) << quarter;
  }
  EXPECT_EQ(tally.list(record(39 + 15).time_ns).served.at(0).count, 1U);
  EXPECT_TRUE(tally.list(record(39 + 16).time_ns).served.empty());
  add(tally, record(1000));
  EXPECT_EQ(tally.list(record(1000).time_ns).served.at(0).count, 1U);
}

TEST(Tally, AClockThatIsSetBackLosesNothing) {
  Tally tally;
  add(tally, record(10));
  add(tally, record(3), true);
  EXPECT_EQ(tally.list(record(3).time_ns).served.at(0).count, 2U);
  EXPECT_EQ(tally.list(record(10).time_ns).served.at(0).count, 2U);
}

TEST(Tally, NamesThatCallersInventDoNotFillTheMemory) {
  Tally tally;
  const std::uint64_t many = 3 * Tally::kMaxGroups;
  for (std::uint64_t i = 0; i < many; ++i) {
    const std::string name = fmt::format("p{}", i);
    Record forged = record(0, 403);
    forged.process = name;
    add(tally, forged);
  }
  const Summary summary = tally.list(kStart);
  EXPECT_LE(summary.served.size() + summary.refused.size(), Tally::kMaxGroups + 2);
  std::uint64_t sum = 0;
  for (const SummaryGroup& group : summary.served) {
    sum += group.count;
  }
  EXPECT_EQ(sum, many);
  EXPECT_EQ(summary.served.at(0).user, "others");
  // Their place is free again when nobody has come that way for four hours.
  add(tally, record(20));
  EXPECT_EQ(text(tally.list(record(20).time_ns).served), Texts{"www-data 33 imds /usr/bin/curl curl 200: 1"});
}

}  // namespace
}  // namespace msp::audit
