// SPDX-License-Identifier: Apache-2.0
#include "gateway/access_record.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "base/json.h"

namespace msp::gateway {
namespace {

constexpr std::size_t kMaxFieldBytes = 1000;

json::Value parsed(const AccessRecord& record) {
  AccessLine writer;
  const std::string_view line = writer.write(record);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  auto tree = json::parse(line, {.unique_members = true});
  EXPECT_TRUE(tree) << line;
  return tree ? std::move(*tree) : json::Value{};
}

TEST(AccessRecord, IsOneJsonObject) {
  const json::Value tree = parsed({.realtime_ns = 1'745'409'600'123'456'000,
                                   .request_id = "0123456789abcdef",
                                   .vm_name = "vm \"one\"",
                                   .vm_id = "6f9619ff-8b86-4d01-b42d-00cf4fc96401",
                                   .peer = {{10, 0, 0, 4}, 40000},
                                   .network = "br0",
                                   .service = Service::kWireServer,
                                   .method = "GET",
                                   .path = "/a\"b\\c",
                                   .status = 403,
                                   .outcome = Outcome::kRefused,
                                   .reason = "foreign_key",
                                   .elevated = false,
                                   .body_bytes = 7});
  EXPECT_EQ(*tree.find("time")->string(), "2025-04-23T12:00:00.123456Z");
  EXPECT_EQ(*tree.find("peer")->string(), "10.0.0.4:40000");
  EXPECT_EQ(*tree.find("network")->string(), "br0");
  EXPECT_EQ(*tree.find("service")->string(), "wireserver");
  EXPECT_EQ(*tree.find("outcome")->string(), "refused");
  EXPECT_EQ(*tree.find("reason")->string(), "foreign_key");
  EXPECT_EQ(tree.find("status")->int64(), 403);
  EXPECT_EQ(*tree.find("vm")->string(), "vm \"one\"");
  EXPECT_EQ(*tree.find("path")->string(), "/a\"b\\c");
  EXPECT_EQ(*tree.find("is_root")->boolean(), false);
  EXPECT_EQ(tree.find("body_bytes")->int64(), 7);
}

TEST(AccessRecord, LeavesOutWhatIsNotKnown) {
  const json::Value tree = parsed({.status = 200, .outcome = Outcome::kOpen});
  for (const char* name : {"network", "vm", "vm_id", "reason", "is_root", "body_bytes", "method", "path"}) {
    EXPECT_EQ(tree.find(name), nullptr) << name;
  }
}

TEST(AccessRecord, LongClientTextsAreCut) {
  const std::string path = "/" + std::string(60'000, '"');
  AccessLine writer;
  const std::string_view line = writer.write({.method = "GET", .path = path});
  EXPECT_LT(line.size(), 4096U);
  EXPECT_TRUE(json::parse(line));
}

TEST(AccessRecord, TextsOfTheWorstKindStillFit) {
  const std::string worst(kMaxFieldBytes, '\x01');  // six bytes each
  const protocol::Caller caller{
      .uid = 0xFFFFFFFF, .user = worst, .executable = worst, .process = worst, .unit = worst, .denied = worst};
  AccessLine writer;
  for (const AccessRecord& record : {AccessRecord{.realtime_ns = std::numeric_limits<std::int64_t>::min(),
                                                  .request_id = std::string_view("0123456789abcdef"),
                                                  .vm_name = worst,
                                                  .vm_id = "6f9619ff-8b86-4d01-b42d-00cf4fc96401",
                                                  .peer = {{255, 255, 255, 255}, 65535},
                                                  .service = Service::kWireServer,
                                                  .method = worst,
                                                  .path = worst,
                                                  .status = 599,
                                                  .reason = "duplicate_trusted_header",
                                                  .elevated = false,
                                                  .caller = &caller,
                                                  .body_bytes = std::numeric_limits<std::uint64_t>::max()},
                                     AccessRecord{.method = "GET", .path = "/"}}) {
    const std::string_view line = writer.write(record);
    auto tree = json::parse(line, {.unique_members = true});
    ASSERT_TRUE(tree) << line;
    EXPECT_EQ(*tree->find("time")->string(), timestamp_us(record.realtime_ns));
    if (record.caller != nullptr) {
      EXPECT_EQ(*tree->find("denied")->string(), worst);
      EXPECT_EQ(*tree->find("vm")->string(), worst);
    } else {
      EXPECT_EQ(tree->find("user"), nullptr) << "left from the line before";
    }
  }
}

}  // namespace
}  // namespace msp::gateway
