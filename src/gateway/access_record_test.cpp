// SPDX-License-Identifier: Apache-2.0
#include "gateway/access_record.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace msp::gateway {
namespace {

json::Value parsed(const AccessRecord& record) {
  std::string line;
  append_access_record(line, record);
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
  std::string line;
  append_access_record(line, {.method = "GET", .path = path});
  EXPECT_LT(line.size(), 4096U);
  EXPECT_TRUE(json::parse(line));
}

}  // namespace
}  // namespace msp::gateway
