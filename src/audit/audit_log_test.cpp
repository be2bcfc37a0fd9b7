// SPDX-License-Identifier: Apache-2.0
#include "audit/log.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/json.h"

namespace msp::audit {
namespace {

class AuditLogTest : public testing::Test {
 protected:
  AuditLogTest() {
    std::string name = (std::filesystem::temp_directory_path() / "msp_audit_XXXXXX").string();
    root_ = std::filesystem::canonical(::mkdtemp(name.data())).string();
  }
  ~AuditLogTest() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Config config(const std::string& name = "audit.jsonl") const {
    Config out;
    out.path = root_ + "/" + name;
    out.nap_ms = 1;
    out.retry_ms = 5;
    return out;
  }
  static Record record(std::uint64_t number, Decision decision = Decision::kPermit) {
    Record out;
    out.request = {.prefix = 7, .number = number};
    out.decision = decision;
    out.status = decision == Decision::kDeny ? 403 : 200;
    out.reason = decision == Decision::kPermit ? "" : "not_elevated";
    out.service = "imds";
    out.method = "GET";
    out.target = "/metadata/instance?api-version=2021-02-01";
    return out;
  }
  /// All lines of a file, each of which must be an object.
  static std::vector<json::Value> lines_of(const std::string& path) {
    std::ifstream file(path);
    std::vector<json::Value> out;
    for (std::string line; std::getline(file, line);) {
      auto value = json::parse(line);
      EXPECT_TRUE(value) << line;
      if (value) {
        out.push_back(std::move(*value));
      }
    }
    return out;
  }
  static std::string text(const json::Value& line, const char* name) {
    const json::Value* value = line.find(name);
    return value != nullptr && value->is_string() ? *value->string() : "";
  }
  std::unique_ptr<Log> open(const Config& config) {
    auto log = Log::open(config, clock_);
    EXPECT_TRUE(log) << log.error().text();
    return std::move(*log);
  }

  SystemClock clock_;
  std::string root_;
};

TEST_F(AuditLogTest, StartRecordsEnd) {
  {
    const auto log = open(config());
    log->sink().write(record(1));
    log->sink().write(record(2, Decision::kDeny));
    log->sink().write(record(3, Decision::kAudit));
    EXPECT_TRUE(log->flush());
    EXPECT_EQ(lines_of(config().path).size(), 4U);
    log->flush_and_stop();
    const Counters counters = log->counters();
    EXPECT_EQ(counters.written, 3U);
    EXPECT_EQ(counters.permits, 1U);
    EXPECT_EQ(counters.denials, 1U);
    EXPECT_EQ(counters.audits, 1U);
    EXPECT_EQ(counters.lost, 0U);
    log->sink().write(record(4));
    EXPECT_EQ(log->counters().lost, 1U) << "after the end";
  }
  const auto lines = lines_of(config().path);
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(text(lines[0], "event"), "start");
  EXPECT_EQ(text(lines[0], "previous_end"), "none");
  EXPECT_EQ(text(lines[1], "request_id"), "000000000007-000000000001");
  EXPECT_EQ(text(lines[2], "decision"), "deny");
  EXPECT_EQ(text(lines[4], "event"), "end");
  EXPECT_EQ(lines[4].find("written")->int64(), 3);
  struct stat st{};
  ASSERT_EQ(::stat(config().path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST_F(AuditLogTest, SaysHowTheRunBeforeEnded) {
  open(config())->flush_and_stop();
  open(config())->flush_and_stop();
  EXPECT_EQ(text(lines_of(config().path)[2], "previous_end"), "clean");
  // A kill in the middle of a line.
  std::ofstream(config().path, std::ios::app) << R"({"time":"2025)";
  open(config())->flush_and_stop();
  std::ifstream file(config().path);
  std::vector<std::string> raw;
  for (std::string line; std::getline(file, line);) {
    raw.push_back(line);
  }
  ASSERT_EQ(raw.size(), 7U);
  EXPECT_EQ(raw[4], R"({"time":"2025)");
  EXPECT_NE(raw[5].find(R"("previous_end":"unclean")"), std::string::npos);
}

TEST_F(AuditLogTest, AKillIsAnUncleanEnd) {
  const pid_t child = ::fork();
  if (child == 0) {
    auto log = Log::open(config(), clock_);
    (*log)->sink().write(record(1));
    (*log)->flush();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  open(config())->flush_and_stop();
  const auto lines = lines_of(config().path);
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_EQ(text(lines[2], "previous_end"), "unclean");
}

TEST_F(AuditLogTest, RotatesWithoutLoss) {
  Config small = config();
  small.rotate_bytes = 4000;
  small.keep = 2;
  const auto log = open(small);
  for (std::uint64_t i = 1; i <= 200; ++i) {
    log->sink().write(record(i));
    if (i % 5 == 0) {
      ASSERT_TRUE(log->flush());
    }
  }
  log->flush_and_stop();
  EXPECT_EQ(log->counters().written, 200U);
  EXPECT_GT(log->counters().rotations, 2U);
  const auto names = *file::list(root_);
  EXPECT_EQ(names, (std::vector<std::string>{"audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"}));
  const auto current = lines_of(small.path);
  const auto before = lines_of(small.path + ".1");
  EXPECT_EQ(text(current[0], "event"), "continued");
  ASSERT_GE(current.size(), 2U);
  EXPECT_EQ(text(current.back(), "event"), "end");
  EXPECT_GE(before.size(), 5U);
}

// It looks once a second, and before the first line after a flush.
TEST_F(AuditLogTest, FollowsAFileThatWasMovedAway) {
  const auto log = open(config());
  log->sink().write(record(1));
  ASSERT_TRUE(log->flush());
  std::filesystem::rename(config().path, root_ + "/moved");
  ASSERT_TRUE(log->flush());
  log->sink().write(record(2));
  ASSERT_TRUE(log->flush());
  std::filesystem::remove(config().path);
  ASSERT_TRUE(log->flush());
  log->sink().write(record(3));
  log->flush_and_stop();
  EXPECT_EQ(lines_of(root_ + "/moved").size(), 2U);
  EXPECT_EQ(lines_of(config().path).size(), 2U);
}

// As logrotate does it, which tells nobody: docs/audit.md promises a second.
TEST_F(AuditLogTest, WhatIsWrittenASecondAfterTheFileWasMovedAwayGoesToANewOne) {
  FakeClock clock;
  auto opened = Log::open(config(), clock);
  ASSERT_TRUE(opened) << opened.error().text();
  const std::unique_ptr<Log> log = std::move(*opened);
  const auto write = [&](std::uint64_t number) {
    log->sink().write(record(number));
    for (int i = 0; i < 1000 && log->counters().written != number; ++i) {
      ::usleep(5'000);
    }
    EXPECT_EQ(log->counters().written, number);
  };
  write(1);
  std::filesystem::rename(config().path, root_ + "/moved");
  clock.advance_ms(999);
  write(2);
  EXPECT_FALSE(std::filesystem::exists(config().path)) << "one look a second is enough";
  clock.advance_ms(1);
  write(3);
  EXPECT_EQ(lines_of(root_ + "/moved").size(), 3U);
  EXPECT_EQ(lines_of(config().path).size(), 1U);
  log->flush_and_stop();
}

TEST_F(AuditLogTest, RefusesAnUnsafePlace) {
  ASSERT_TRUE(file::replace(root_ + "/victim", "x"));
  ASSERT_EQ(::symlink("victim", config().path.c_str()), 0);
  EXPECT_FALSE(Log::open(config(), clock_));
  EXPECT_FALSE(Log::open(config("no/audit.jsonl"), clock_));
  EXPECT_EQ(*file::read(root_ + "/victim", {}), "x");
}

TEST_F(AuditLogTest, KeepsTheLastRefusals) {
  const auto log = open(config());
  for (std::uint64_t i = 1; i <= 100; ++i) {
    Record r = record(i, i % 2 == 0 ? Decision::kDeny : Decision::kPermit);
    r.target = "/x?token=abc";
    log->sink().write(r);
  }
  log->flush();
  const auto refusals = log->recent_refusals();
  ASSERT_EQ(refusals.size(), 32U);
  EXPECT_EQ(refusals[0].request_id, "000000000007-000000000064");
  EXPECT_EQ(refusals[0].target, "/x?token=redacted");
  EXPECT_EQ(refusals[0].reason, "not_elevated");
  EXPECT_EQ(refusals[31].request_id, "000000000007-000000000026");
}

TEST_F(AuditLogTest, AFullDiskCostsRecordsNotRequests) {
  const std::string disk = root_ + "/disk";
  ASSERT_TRUE(file::ensure_directory(disk, 0700));
  if (::geteuid() != 0 || ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=64k,mode=0700") != 0) {
    FAIL() << "needs root and tmpfs: run it as root";
  }
  std::string ballast(40'000, 'x');
  EXPECT_TRUE(file::replace(disk + "/ballast", ballast, {.mode = 0600, .durable = false}));
  Config on_disk = config("disk/audit.jsonl");
  on_disk.queue_bytes = 64 << 10;
  auto log = open(on_disk);
  std::uint64_t number = 0;
  // Far more than disk and queue hold; each fifth is a refusal, few enough that the reserve takes all.
  for (; number < 2000; ++number) {
    log->sink().write(record(number + 1, number % 5 == 0 ? Decision::kDeny : Decision::kPermit));
  }
  EXPECT_FALSE(log->flush()) << "the disk is full";
  const Counters full = log->counters();
  EXPECT_NE(full.problem.find("No space left"), std::string::npos) << full.problem;
  EXPECT_GT(full.lost, 0U);
  EXPECT_TRUE(file::remove(disk + "/ballast"));
  // The writer tries again meanwhile: for a moment what did fit stands there, then it is taken away.
  std::string kept;
  for (int i = 0; i < 1000 && !kept.ends_with('\n'); ++i) {
    kept = *file::read(on_disk.path, {});
  }
  EXPECT_TRUE(kept.ends_with('\n')) << "whole lines only";
  EXPECT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=4m,mode=0700"), 0);
  EXPECT_TRUE(log->flush()) << "writing goes on by itself";
  log->sink().write(record(++number));
  log->flush_and_stop();
  const Counters after = log->counters();
  EXPECT_EQ(after.problem, "");
  EXPECT_EQ(after.written + after.lost, number);
  std::uint64_t records = 0;
  std::uint64_t losses_said = 0;
  for (const json::Value& line : lines_of(on_disk.path)) {
    records += line.find("request_id") != nullptr ? 1 : 0;
    losses_said += text(line, "event") == "lost" ? 1 : 0;
  }
  EXPECT_EQ(records, after.written);
  EXPECT_EQ(losses_said, 1U);
  log.reset();
  ::umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(AuditLogTest, StartsOnAFullDiskAndRecovers) {
  const std::string disk = root_ + "/disk";
  ASSERT_TRUE(file::ensure_directory(disk, 0700));
  if (::geteuid() != 0 || ::mount("tmpfs", disk.c_str(), "tmpfs", MS_RDONLY, "size=64k,mode=0700") != 0) {
    FAIL() << "needs root and tmpfs: run it as root";
  }
  auto log = open(config("disk/audit.jsonl"));
  log->sink().write(record(1, Decision::kDeny));
  EXPECT_NE(log->counters().problem, "");
  EXPECT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=64k,mode=0700"), 0);
  EXPECT_TRUE(log->flush());
  const auto lines = lines_of(disk + "/audit.jsonl");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(text(lines[0], "previous_end"), "unknown");
  log.reset();
  ::umount2(disk.c_str(), MNT_DETACH);
}

TEST_F(AuditLogTest, WrittenAndLostAreAllThatWasProduced) {
  Config small = config();
  small.queue_bytes = 64 << 10;
  small.nap_ms = 20;
  const auto log = open(small);
  constexpr std::uint64_t kRecords = 60'000;
  std::thread producer([&] {
    for (std::uint64_t i = 1; i <= kRecords; ++i) {
      log->sink().write(record(i, i % 7 == 0 ? Decision::kDeny : Decision::kPermit));
      if (i % 4096 == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(3));
      }
    }
  });
  while (log->counters().written + log->counters().lost < kRecords / 2) {
    (void)log->recent_refusals();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  producer.join();
  log->flush_and_stop();
  const Counters counters = log->counters();
  EXPECT_EQ(counters.written + counters.lost, kRecords);
  std::uint64_t by_reason = 0;
  for (const Loss& loss : counters.losses) {
    EXPECT_TRUE(loss.reason == "permit" || loss.reason == "not_elevated") << loss.reason;
    by_reason += loss.count;
  }
  EXPECT_EQ(by_reason, counters.lost);
  std::uint64_t last = 0;
  std::uint64_t records = 0;
  for (const json::Value& line : lines_of(small.path)) {
    if (line.find("request_id") != nullptr) {
      const std::uint64_t number = std::stoull(text(line, "request_id").substr(13), nullptr, 16);
      EXPECT_GT(number, last);
      last = number;
      ++records;
    }
  }
  EXPECT_EQ(records, counters.written);
}

TEST_F(AuditLogTest, ASleepingWriterWakes) {
  const auto log = open(config());
  for (std::uint64_t i = 1; i <= 20; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    log->sink().write(record(i));
    for (int wait = 0; wait < 2000 && log->counters().written < i; ++wait) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_EQ(log->counters().written, i);
  }
}

TEST_F(AuditLogTest, KeepsTheLastRefusalsOfTheHostBesideOurs) {
  const auto log = open(config());
  for (std::uint64_t i = 1; i <= 80; ++i) {
    Record r = record(i, i % 2 == 0 ? Decision::kDeny : Decision::kPermit);
    r.status = 403;
    r.host_code = i % 2 == 0 ? "" : "foreign_key";
    r.host_request = i % 2 == 0 ? "" : "abc-1";
    log->sink().write(r);
  }
  log->flush();
  const auto refusals = log->recent_host_refusals();
  ASSERT_EQ(refusals.size(), 32U);
  EXPECT_EQ(refusals[0].request_id, "000000000007-00000000004f");
  EXPECT_EQ(refusals[0].host_code, "foreign_key");
  EXPECT_EQ(refusals[0].host_request_id, "abc-1");
  EXPECT_EQ(log->recent_refusals()[0].host_code, "");
  Record local = record(81, Decision::kPermit);
  local.service = "local";
  local.status = 403;
  log->sink().write(local);
  log->flush();
  EXPECT_EQ(log->recent_host_refusals()[0].request_id, "000000000007-00000000004f") << "the agent's own answer";
}

}  // namespace
}  // namespace msp::audit
