// SPDX-License-Identifier: Apache-2.0
// Which requests go to a service behind the host, and whether their body is there before they are judged.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "gateway/gateway.h"
#include "gateway/inventory.h"
#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using http::Passing;
using test::ParsedRequest;

GivenResource machine(int number, std::string_view mode) {
  return {.text = fmt::format(
              R"({{"name":"vm-{0}","properties":{{"vmId":"6f9619ff-8b86-4d01-b42d-{0:012x}","securityProfile":
              {{"proxyAgentSettings":{{"enabled":true,"imds":{{"mode":"{1}"}},"wireServer":{{"mode":"{1}"}}}}}}}}}})",
              number, mode),
          .addresses = std::vector<Ipv4Address>{{10, 0, 0, static_cast<std::uint8_t>(number)}}};
}

class PassingTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "passing_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    inventory_ = *Inventory::load(config_);
    store_ = *open_sqlite_store(directory_ + "/host.db");
    ASSERT_TRUE(inventory_->open(*store_).ok());
    keys_ = *KeyRing::open(*store_, Secret::copy_of(std::string_view(std::string(32, 'm'))), inventory_->registry(),
                           clock_, 4);
    inventory_->attach(*keys_, [](const std::string&) {});
    const auto made = inventory_->apply({machine(1, "Disabled"), machine(2, "Audit"), machine(3, "Enforce")}, false);
    ASSERT_TRUE(made && made->faults.empty());
    log_ = *AccessLog::open("/dev/null");
    config_.upstream.services.fill(UpstreamService{.at = {{127, 0, 0, 1}, 1}});
    gateway_.emplace(loop_, buffers_, inventory_->registry(), *keys_, *log_, Signers{}, clock_, config_, 1);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Passing passing(int machine, Service service, const std::string& target) const {
    const ParsedRequest parsed({.method = "POST", .target = target, .headers = {}, .body = {}},
                               {{10, 0, 0, static_cast<std::uint8_t>(machine)}, 40000});
    return gateway_->passes_on({.service = service}, parsed.request());
  }

  /// Answered when the head is there, without a look at the body.
  bool answered_early(int machine, Service service, const std::string& target) {
    const ParsedRequest parsed({.method = "POST", .target = target, .headers = {}, .body = {}},
                               {{10, 0, 0, static_cast<std::uint8_t>(machine)}, 40000});
    return gateway_->before_body({.service = service}, parsed.request()).has_value();
  }

  std::string directory_;
  Config config_;
  SystemClock clock_;
  Loop loop_;
  http::BufferPool buffers_;
  std::unique_ptr<HostStore> store_;
  std::unique_ptr<Inventory> inventory_;
  std::unique_ptr<KeyRing> keys_;
  std::unique_ptr<AccessLog> log_;
  std::optional<Gateway> gateway_;
};

TEST_F(PassingTest, WhatIsVerifiedIsCollectedFirst) {
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    EXPECT_EQ(passing(1, service, "/x"), Passing::kStreamed) << "nothing is verified";
    EXPECT_EQ(passing(2, service, "/x"), Passing::kCollected) << "auditing says what enforcing would refuse";
    EXPECT_EQ(passing(3, service, "/x"), Passing::kCollected);
    EXPECT_EQ(passing(4, service, "/x"), Passing::kCollected) << "a stranger is refused";
  }
}

TEST_F(PassingTest, WhatNeedsNoSignatureIsJudgedWithItsBody) {
  EXPECT_TRUE(answered_early(3, Service::kWireServer, "/machine"));
  EXPECT_FALSE(answered_early(3, Service::kWireServer, "/secure-channel/key")) << "else it could never latch";
  EXPECT_TRUE(answered_early(3, Service::kImds, "/secure-channel/key")) << "the channel is WireServer's";
  EXPECT_FALSE(answered_early(2, Service::kWireServer, "/machine"));
  EXPECT_TRUE(answered_early(4, Service::kWireServer, "/secure-channel/key")) << "a stranger";
}

TEST_F(PassingTest, TheChannelIsTheHostsOwn) {
  EXPECT_EQ(passing(1, Service::kWireServer, "/secure-channel/status"), Passing::kNo);
  EXPECT_EQ(passing(1, Service::kWireServer, "/machine//..;x/secure%2dchannel"), Passing::kNo);
  EXPECT_EQ(passing(1, Service::kWireServer, "/machine?to=/secure-channel/status"), Passing::kStreamed);
}

}  // namespace
}  // namespace msp::gateway
