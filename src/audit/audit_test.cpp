// SPDX-License-Identifier: Apache-2.0
// Ring, queue, codec, lines and ids.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <thread>

#include "audit/codec.h"
#include "audit/json_line.h"
#include "audit/loss.h"
#include "audit/queue.h"
#include "base/json.h"

namespace msp::audit {
namespace {

struct RingMemory {
  RingPositions positions;
  std::vector<std::uint64_t> words = std::vector<std::uint64_t>(Ring::kMinBytes / 8);
  std::span<char> bytes() { return {reinterpret_cast<char*>(words.data()), Ring::kMinBytes}; }
};

TEST(Ring, RecordsOfAnyLengthComeOutInOrder) {
  RingMemory memory;
  Ring ring(memory.positions, memory.bytes());
  EXPECT_EQ(ring.capacity(), 64U << 10);
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  std::uint64_t at = 0;
  while (out < 5000) {
    const std::size_t size = 8 + in * 7919 % 3000;
    char* to = ring.reserve(size, 0);
    if (to != nullptr) {
      std::memset(to, static_cast<int>(in & 0xFF), size);
      std::memcpy(to, &in, sizeof in);
      ring.commit();
      ++in;
      continue;
    }
    EXPECT_GT(ring.used() + 3100 * 2, ring.capacity());
    for (int i = 0; i < 3; ++i) {
      const auto bytes = ring.next(at);
      std::uint64_t number = 0;
      std::memcpy(&number, bytes.data(), sizeof number);
      ASSERT_EQ(number, out);
      ASSERT_EQ(bytes.size(), 8 + out * 7919 % 3000);
      EXPECT_TRUE(bytes.size() == 8 || bytes.back() == static_cast<char>(out & 0xFF));
      ++out;
    }
    ring.release(at);
  }
}

TEST(Ring, KeepsTheReserve) {
  RingMemory memory;
  Ring ring(memory.positions, memory.bytes());
  const std::size_t quarter = ring.capacity() / 4;
  while (ring.reserve(1000, quarter) != nullptr) {
    ring.commit();
  }
  EXPECT_LE(ring.used(), ring.capacity() - quarter);
  int more = 0;
  for (; ring.reserve(1000, 0) != nullptr; ++more) {
    ring.commit();
  }
  EXPECT_GE(more, 15);
  EXPECT_EQ(ring.reserve(ring.capacity(), 0), nullptr);
}

TEST(Ring, NonsenseIsSkippedAndCounted) {
  RingMemory memory;
  Ring producer(memory.positions, memory.bytes());
  Ring consumer(memory.positions, memory.bytes());
  const auto put = [&](std::uint32_t size, std::uint64_t head) {
    std::memcpy(memory.words.data(), &size, sizeof size);
    memory.positions.head = head;
  };
  std::uint64_t spoiled = 0;
  for (const auto& [size, head] : {std::pair{8U, std::uint64_t{8}},
                                   {100U, std::uint64_t{64}},
                                   {UINT32_MAX, std::uint64_t{64}},
                                   {0U, std::uint64_t{7}},
                                   {0U, UINT64_MAX},
                                   {0U, std::uint64_t{1} << 20}}) {
    put(size, head);
    std::uint64_t at = 0;
    EXPECT_TRUE(consumer.next(at).empty()) << size << " " << head;
    EXPECT_EQ(consumer.spoiled(), ++spoiled) << size << " " << head;
    EXPECT_EQ(at, head & ~std::uint64_t{7});
  }
  // The next producer goes on, and what it writes is read.
  put(0, 13);
  Ring next(memory.positions, memory.bytes());
  std::memcpy(next.reserve(4, 0), "good", 4);
  next.commit();
  std::uint64_t at = 16;
  const auto bytes = consumer.next(at);
  EXPECT_EQ(std::string_view(bytes.data(), bytes.size()), "good");
  EXPECT_EQ(at, next.head());
}

TEST(Codec, OnlyWhatItWroteIsWellFormed) {
  const Record record{
      .decision = Decision::kAudit, .has_caller = true, .dry_run = DryRun::kDeny, .method = "GET", .user = "u"};
  std::string bytes(encoded_size(record), '\0');
  encode(record, bytes.data());
  EXPECT_TRUE(well_formed(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(well_formed(std::string_view(bytes).substr(0, size)));
  }
  EXPECT_FALSE(well_formed(bytes + "x"));
  // Whatever one byte becomes: refused, or a record whose texts lie within the bytes.
  for (char& byte : bytes) {
    const char kept = byte;
    for (int value = 0; value < 256; ++value) {
      byte = static_cast<char>(value);
      if (well_formed(bytes)) {
        const Record back = decode(bytes);
        EXPECT_LE(back.decision, Decision::kAudit);
        EXPECT_LE(back.method.size() + back.user.size(), bytes.size());
      }
    }
    byte = kept;
  }
}

TEST(Ring, TwoThreads) {
  RingMemory memory;
  Ring ring(memory.positions, memory.bytes());
  constexpr std::uint64_t kRecords = 200'000;
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kRecords;) {
      char* to = ring.reserve(8 + i % 400, 0);
      if (to == nullptr) {
        std::this_thread::yield();
        continue;
      }
      std::memcpy(to, &i, sizeof i);
      ring.commit();
      ++i;
    }
  });
  std::uint64_t at = 0;
  for (std::uint64_t expected = 0; expected < kRecords;) {
    const auto bytes = ring.next(at);
    if (bytes.empty()) {
      std::this_thread::yield();
      continue;
    }
    std::uint64_t number = 0;
    std::memcpy(&number, bytes.data(), sizeof number);
    EXPECT_EQ(number, expected);
    EXPECT_EQ(bytes.size(), 8 + number % 400);
    ++expected;
    ring.release(at);
  }
  producer.join();
}

TEST(Queue, PermitsAreLostFirst) {
  auto share = QueueShare::create(64 << 10);
  ASSERT_TRUE(share);
  Queue queue(*std::move(share));
  Record permit{.decision = Decision::kPermit, .status = 200, .target = "/metadata/instance"};
  Record denial{.decision = Decision::kDeny, .status = 403, .reason = "not_elevated"};
  for (int i = 0; i < 1000; ++i) {
    queue.write(permit);
  }
  const std::uint64_t lost_permits = queue.losses().total();
  EXPECT_GT(lost_permits, 0U);
  for (int i = 0; i < 50; ++i) {
    queue.write(denial);
  }
  EXPECT_EQ(queue.losses().total(), lost_permits) << "the reserve takes them";
  for (int i = 0; i < 1000; ++i) {
    queue.write(denial);
  }
  std::map<std::string, std::uint64_t> sums;
  queue.losses().add_to(sums);
  EXPECT_EQ(sums["permit"], lost_permits);
  EXPECT_GT(sums["not_elevated"], 0U);
}

TEST(Loss, MoreReasonsThanSlots) {
  LossTable table;
  for (int i = 0; i < 200; ++i) {
    table.count("reason_" + std::to_string(i));
  }
  table.count("reason_3");
  table.count(std::string(100, 'x'));
  std::map<std::string, std::uint64_t> sums;
  table.add_to(sums);
  EXPECT_EQ(sums.size(), 64U);
  EXPECT_EQ(sums["reason_3"], 2U);
  EXPECT_EQ(sums["other"], 200 - 63 + 1U);
  EXPECT_EQ(table.total(), 202U);
}

Record full_record() {
  Record r{.time_ns = 1745409600123456789, .request = {.prefix = 0x5b1e4d578a90, .number = 42}};
  r.connection = 9;
  r.decision = Decision::kDeny;
  r.status = 403;
  r.bytes_in = 1;
  r.bytes_out = 22;
  r.duration_us = 333;
  r.has_caller = true;
  r.uid = 1000;
  r.gid = 1001;
  r.pid = 77;
  r.start_time_ns = 123456789012345;
  r.cgroup_id = 88;
  r.stripped = r.divergence = true;
  r.service = "wireserver";
  r.method = "GET";
  r.target = "/machine?comp=goalstate&sig=abc";
  r.user = "alice";
  r.exe = "/usr/bin/curl";
  r.exe_rule = "/usr/local/bin/fetch";
  r.cgroup = "/system.slice/a.service";
  r.process = "cu\nrl";
  r.reason = "not_elevated";
  r.rule_set = "rules-v7";
  r.privilege = "p";
  r.role = "r";
  r.identity = "i";
  r.key_guid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
  return r;
}

constexpr std::string_view kFullLine =
    R"({"time":"2025-04-23T12:00:00.123456Z","request_id":"5b1e4d578a90-00000000002a","connection":9,"decision":"deny",)"
    R"("status":403,"reason":"not_elevated","service":"wireserver","method":"GET",)"
    R"("target":"/machine?comp=goalstate&sig=redacted","uid":1000,"gid":1001,"user":"alice",)"
    R"("pid":77,"start_time_ns":123456789012345,"exe":"/usr/bin/curl","exe_rule":"/usr/local/bin/fetch","process":"cu\nrl",)"
    R"("cgroup_id":88,"cgroup":"/system.slice/a.service",)"
    R"("rule_set":"rules-v7","privilege":"p","role":"r","identity":"i","key_guid":"7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11",)"
    R"("bytes_in":1,"bytes_out":22,"duration_us":333,"stripped":true,"divergence":true})";

TEST(Codec, RoundTripAndLine) {
  CollectingSink sink;
  sink.write(full_record());
  EXPECT_EQ(sink.lines.at(0), kFullLine);
}

TEST(Codec, ADryRunIsSaidWithItsRuleAndNothingOtherwise) {
  Record r = full_record();
  r.dry_run_role = "left over";
  CollectingSink sink;
  sink.write(r);
  EXPECT_EQ(sink.lines.at(0), kFullLine);
  r.dry_run = DryRun::kDeny;
  r.dry_run_privilege = "dp";
  r.dry_run_role = "dr";
  r.dry_run_identity = "di";
  sink.write(r);
  const auto line = json::parse(sink.lines.at(1));
  ASSERT_TRUE(line) << line.error().text();
  EXPECT_EQ(*line->find("dry_run")->string(), "deny");
  EXPECT_EQ(*line->find("dry_run_privilege")->string(), "dp");
  EXPECT_EQ(*line->find("dry_run_role")->string(), "dr");
  EXPECT_EQ(*line->find("dry_run_identity")->string(), "di");
  EXPECT_EQ(*line->find("identity")->string(), "i");
  r.dry_run = DryRun::kAllow;
  sink.write(r);
  EXPECT_EQ(*json::parse(sink.lines.at(2))->find("dry_run")->string(), "allow");
}

TEST(Codec, EmptyRecord) {
  CollectingSink sink;
  sink.write(Record());
  EXPECT_EQ(sink.lines.at(0),
            R"({"time":"1970-01-01T00:00:00.000000Z","request_id":"000000000000-000000000000","connection":0,)"
            R"("decision":"deny","status":0,"bytes_in":0,"bytes_out":0,"duration_us":0})");
}

TEST(Codec, LongAndHostileTextIsCutAndEscaped) {
  const std::string target = "/" + std::string(100'000, '\xff');
  const std::string forged = "\"}\n{\"decision\":\"permit\"}\n";
  Record r = full_record();
  r.target = target;
  r.process = forged;
  r.method = forged;
  EXPECT_LE(encoded_size(r), 4096U);
  CollectingSink sink;
  sink.write(r);
  const auto line = json::parse(sink.lines.at(0));
  ASSERT_TRUE(line) << line.error().text();
  EXPECT_EQ(*line->find("process")->string(), forged);
  EXPECT_EQ(line->object()->duplicate(), nullptr);
  EXPECT_EQ(*line->find("decision")->string(), "deny");
  EXPECT_EQ(line->find("target")->string()->size(), 1 + 3 * (kMaxTarget - 1));
}

std::string line_of(LineWriter& lines, const Record& record) {
  std::string bytes(encoded_size(record), '\0');
  encode(record, bytes.data());
  std::string out;
  lines.append(out, decode(bytes), bytes);
  return out;
}

TEST(Codec, TheIdOfAResourceIsNotCut) {
  const std::string id = "/SUBSCRIPTIONS/" + std::string(400, 'S') + "/VERSIONS/1.0.0";
  Record r = full_record();
  r.rule_set = id;
  CollectingSink sink;
  sink.write(r);
  EXPECT_EQ(*json::parse(sink.lines.at(0))->find("rule_set")->string(), id);
}

TEST(Lines, WhatWasWrittenBeforePlaysNoPart) {
  Record usual = full_record();
  usual.dry_run = DryRun::kAllow;
  usual.dry_run_privilege = "dp";
  usual.dry_run_role = "dr";
  usual.dry_run_identity = "di";
  std::vector<Record> records(1, usual);
  const auto but = [&](auto member, auto value) {
    Record next = usual;
    next.*member = value;
    records.push_back(next);
    records.push_back(usual);
  };
  but(&Record::time_ns, 7);
  but(&Record::request, RequestId{.prefix = 1, .number = 2});
  for (const auto number : {&Record::connection, &Record::bytes_in, &Record::bytes_out, &Record::duration_us,
                            &Record::start_time_ns, &Record::cgroup_id}) {
    but(number, 12345);
  }
  for (const auto number : {&Record::uid, &Record::gid, &Record::pid}) {
    but(number, 54321);
  }
  but(&Record::status, std::uint16_t{599});
  but(&Record::decision, Decision::kAudit);
  but(&Record::dry_run, DryRun::kNone);
  for (const auto flag : {&Record::has_caller, &Record::stripped, &Record::divergence}) {
    but(flag, false);
    but(flag, true);
  }
  for (const auto text : {&Record::service, &Record::method, &Record::target, &Record::user, &Record::exe,
                          &Record::exe_rule, &Record::cgroup, &Record::process, &Record::reason, &Record::rule_set,
                          &Record::privilege, &Record::role, &Record::identity, &Record::key_guid,
                          &Record::dry_run_privilege, &Record::dry_run_role, &Record::dry_run_identity}) {
    but(text, "");
    but(text, "another");
  }
  // The end of one text and the start of the next change places: the sizes tell them apart.
  Record shifted = full_record();
  shifted.privilege = "ab";
  shifted.role = "c";
  records.push_back(shifted);
  shifted.privilege = "a";
  shifted.role = "bc";
  records.push_back(shifted);

  LineWriter busy;
  for (const Record& record : records) {
    LineWriter fresh;
    EXPECT_EQ(line_of(busy, record), line_of(fresh, record));
  }
}

TEST(Lines, TheWorstCaseFits) {
  std::string target = "http://u@h/?";
  while (target.size() + 5 <= kMaxTarget) {
    target += "sig=&";
  }
  const std::string controls(kMaxTarget, '\x01');
  Record r = full_record();
  for (std::string_view* text : {&r.service, &r.method, &r.user, &r.exe, &r.exe_rule, &r.cgroup, &r.process, &r.reason,
                                 &r.rule_set, &r.privilege, &r.role, &r.identity, &r.key_guid}) {
    *text = controls;
  }
  for (std::uint64_t* number :
       {&r.connection, &r.bytes_in, &r.bytes_out, &r.duration_us, &r.start_time_ns, &r.cgroup_id}) {
    *number = std::numeric_limits<std::uint64_t>::max();
  }
  CollectingSink sink;
  for (const std::string& worst : {target, controls}) {
    r.target = worst;
    sink.write(r);
    const auto line = json::parse(sink.lines.back());
    ASSERT_TRUE(line) << line.error().text();
    EXPECT_EQ(line->find("target")->string()->find("sig=&"), std::string::npos);
  }
}

TEST(Lines, TimesAcrossSecondsAndSteps) {
  LineWriter lines;
  const auto time_of = [&](std::int64_t ns) {
    Record r;
    r.time_ns = ns;
    return line_of(lines, r).substr(9, 27);
  };
  EXPECT_EQ(time_of(1745409600000000999), "2025-04-23T12:00:00.000000Z");
  EXPECT_EQ(time_of(1745409600999999999), "2025-04-23T12:00:00.999999Z");
  EXPECT_EQ(time_of(1745409601000001000), "2025-04-23T12:00:01.000001Z");
  EXPECT_EQ(time_of(1745409599000000000), "2025-04-23T11:59:59.000000Z");
  EXPECT_EQ(time_of(-1), "1969-12-31T23:59:59.999999Z");
}

TEST(RequestIds, AreUnique) {
  auto a = RequestIds::create();
  auto b = RequestIds::create();
  ASSERT_TRUE(a && b);
  const auto first = a->next().text();
  EXPECT_EQ(view(first).substr(12), "-000000000001");
  EXPECT_EQ(view(a->next().text()).substr(12), "-000000000002");
  EXPECT_NE(view(first), view(b->next().text()));
}

}  // namespace
}  // namespace msp::audit
