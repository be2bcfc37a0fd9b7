// SPDX-License-Identifier: Apache-2.0
// Agent and host in one process over real sockets on 127.0.0.0/8: the real channel latches a key with the real host,
// the real data path endorses, the real verifier decides. Only the kernel's record is stood in for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/gate.h"
#include "audit/sink.h"
#include "channel/channel.h"
#include "gateway/app.h"
#include "identity/fake_source.h"
#include "proxy/data_plane.h"
#include "rules/publisher.h"
#include "tests/support/raw_peer.h"

namespace msp {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// Runs f on the loop's thread and waits for it.
void run_on(Loop& loop, const std::function<void()>& f) {
  std::atomic<bool> done = false;
  loop.post([&] {
    f();
    done = true;
    done.notify_one();
  });
  done.wait(false);
}

class Host {
 public:
  explicit Host(const std::string& config_path) {
    auto config = gateway::load_config(config_path);
    EXPECT_TRUE(config.ok()) << config.error().text();
    auto app = gateway::HostApp::start(std::move(*config), loop_, clock_, kept_);
    EXPECT_TRUE(app.ok()) << app.error().text();
    app_ = std::move(*app);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Host() {
    loop_.post([this] { finish().detach(); });
    thread_.join();
  }
  Ipv4Endpoint endpoint(std::size_t i) const { return app_->endpoints().at(i); }

 private:
  Task<void> finish() {
    co_await app_->drain(loop_.after_ms(500));
    loop_.stop();
  }
  SystemClock clock_;
  gateway::KeptListeners kept_;
  Loop loop_;
  std::unique_ptr<gateway::HostApp> app_;
  std::thread thread_;
};

struct NoLocal final : proxy::LocalEndpoints {
  std::optional<proxy::LocalAnswer> answer(const http::RequestHead&, const http::Target&,
                                           const identity::ConnectionIdentity&) override {
    return std::nullopt;
  }
};

/// Channel, rules and data path of the agent, all on one loop.
class Agent {
 public:
  Agent(const std::string& directory, const Ipv4Endpoint& imds, const Ipv4Endpoint& wireserver)
      : imds_(imds), wireserver_(wireserver), local_rules_(directory + "/rules") {
    proxy::Settings settings;
    settings.services = {proxy::ServiceSettings{imds, {}}, proxy::ServiceSettings{wireserver, {}},
                         proxy::ServiceSettings{{{127, 0, 0, 98}, 1}, {}}};
    plane_.emplace(loop_, settings, identities_, proxy::DataPlane::Trace{audit_, counters_, audit::RequestIds(1)},
                   dialer_, local_);
    auto socket = make_tcp_socket();
    EXPECT_TRUE(bind_and_listen(*socket, {{127, 0, 0, 1}, 0}, 16).ok());
    at_ = *local_endpoint(socket->get());
    EXPECT_TRUE(plane_->listen(std::move(*socket)).ok());
    rules_.emplace(policy::Matching::kEnforce, local_rules_, [](const auto&) {});
    channel::Channel::Settings channel_settings;
    channel_settings.host = wireserver;
    channel_settings.key_directory = directory + "/keys";
    channel_settings.state_directory = directory;
    channel_settings.interval_ms = 50;
    channel_ = std::make_unique<channel::Channel>(
        loop_, buffers_, clock_, [](const Ipv4Endpoint&) { return make_tcp_socket(); }, channel_settings,
        [this](std::shared_ptr<const channel::ChannelState> state) { on_state(std::move(state)); });
    const auto started = channel_->start();
    EXPECT_TRUE(started.ok()) << started.error().text();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Agent() {
    run_on(loop_, [this] {
      channel_.reset();
      plane_->drain();
      plane_->abort_all();
    });
    for (bool over = false; !over;) {
      run_on(loop_, [&] { over = plane_->drained(); });
    }
    loop_.stop();
    thread_.join();
  }

  void act_as(std::uint32_t uid, Service service) {
    run_on(loop_,
           [&] { identities_.answer = identity::fake_identity(uid, service == Service::kImds ? imds_ : wireserver_); });
  }
  std::string key_guid() {
    std::string guid;
    run_on(loop_, [&] { guid = state_ && state_->key ? state_->key->guid : std::string(); });
    return guid;
  }
  /// Waits until a key is in use.
  std::string wait_key() {
    std::string guid;
    for (int i = 0; i < 1000 && guid.empty(); ++i, ::usleep(10'000)) {
      guid = key_guid();
    }
    return guid;
  }
  std::string ask(const std::string& request) {
    test::RawClient client(at_);
    client.send(request);
    return client.read_all();
  }
  std::string last_audit() {
    std::string line;
    run_on(loop_, [&] { line = audit_.lines.empty() ? std::string() : audit_.lines.back(); });
    return line;
  }

 private:
  void on_state(std::shared_ptr<const channel::ChannelState> state) {
    state_ = std::move(state);
    if (state_->document) {
      rules_->apply(*state_->document);
    }
    plane_->install(
        std::make_shared<const proxy::Gate>(agent::make_gate(*state_, state_->document ? rules_->current() : nullptr)));
  }

  Ipv4Endpoint imds_, wireserver_, at_;
  SystemClock clock_;
  Loop loop_;
  http::BufferPool buffers_;
  identity::FakeIdentitySource identities_;
  audit::CollectingSink audit_;
  proxy::Counters counters_;
  proxy::PlainDialer dialer_;
  NoLocal local_;
  std::optional<proxy::DataPlane> plane_;
  rules::LocalDirectory local_rules_;
  std::optional<rules::Publisher> rules_;
  std::shared_ptr<const channel::ChannelState> state_;
  std::unique_ptr<channel::Channel> channel_;
  std::thread thread_;
};

class EndorsedPath : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "endorsed_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    write("vm.json", R"({"name":"vm1","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc96401",
      "securityProfile":{"proxyAgentSettings":{"enabled":true,"keyIncarnationId":1}}}})");
    write_host_config(0, 0);
    host_ = std::make_unique<Host>(directory_ + "/host.json");
    imds_ = host_->endpoint(0);
    wireserver_ = host_->endpoint(1);
    write_host_config(imds_.port, wireserver_.port);
  }
  void TearDown() override {
    host_.reset();
    std::filesystem::remove_all(directory_);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name) << text;
    std::filesystem::permissions(directory_ + "/" + name, std::filesystem::perms(0600));
  }
  void write_host_config(int imds, int wireserver) const {
    write("host.json", R"({"stateDirectory":"state","accessLog":"access.jsonl","logLevel":"error","listeners":[
      {"address":"127.0.0.2","port":)" +
                           std::to_string(imds) + R"(,"service":"imds"},
      {"address":"127.0.0.3","port":)" +
                           std::to_string(wireserver) + R"(,"service":"wireserver"}],
      "virtualMachines":[{"model":"vm.json","sourceAddresses":["127.0.0.1"]}]})");
  }
  std::string instance(const std::string& more = {}) const {
    return "GET /metadata/instance?api-version=2021-02-01 HTTP/1.1\r\nHost: " + address_text(imds_) +
           "\r\nMetadata: true\r\nConnection: close\r\n" + more + "\r\n";
  }
  std::string versions() const {
    return "GET /?comp=versions HTTP/1.1\r\nHost: " + address_text(wireserver_) + "\r\nConnection: close\r\n\r\n";
  }

  std::string directory_;
  std::unique_ptr<Host> host_;
  Ipv4Endpoint imds_, wireserver_;
};

TEST_F(EndorsedPath, WhatIsAllowedIsServedAndTheRestRefusedOnEitherSide) {
  Agent agent(directory_, imds_, wireserver_);
  ASSERT_NE(agent.wait_key(), "");
  agent.act_as(1000, Service::kImds);
  const std::string served = agent.ask(instance());
  EXPECT_THAT(served, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(served, HasSubstr("6f9619ff-8b86-4d01-b42d-00cf4fc96401"));
  agent.act_as(1000, Service::kWireServer);
  EXPECT_THAT(agent.ask(versions()), HasSubstr("\"error\":\"not_elevated\""));
  EXPECT_THAT(agent.last_audit(), HasSubstr("\"reason\":\"not_elevated\""));
  agent.act_as(0, Service::kWireServer);
  EXPECT_THAT(agent.ask(versions()), HasSubstr("2012-11-30"));
  test::RawClient around(imds_);
  around.send(instance());
  EXPECT_THAT(around.read_all(), HasSubstr("\"error\":\"unsigned\""));
}

TEST_F(EndorsedPath, TheSecureChannelIsNobodysButTheAgents) {
  Agent agent(directory_, imds_, wireserver_);
  ASSERT_NE(agent.wait_key(), "");
  agent.act_as(0, Service::kWireServer);
  const std::string answer =
      agent.ask("POST /secure-channel/key HTTP/1.1\r\nHost: " + address_text(wireserver_) +
                "\r\nContent-Length: 44\r\n\r\n{\"authorizationScheme\": \"Azure-HMAC-SHA256\"}");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 "));
}

TEST_F(EndorsedPath, RestartsOfEitherSideKeepTheKey) {
  std::string guid;
  {
    Agent agent(directory_, imds_, wireserver_);
    guid = agent.wait_key();
    ASSERT_NE(guid, "");
    agent.act_as(1000, Service::kImds);
    EXPECT_THAT(agent.ask(instance()), StartsWith("HTTP/1.1 200 "));
    host_.reset();
    EXPECT_THAT(agent.ask(instance()), StartsWith("HTTP/1.1 410 "));
    host_ = std::make_unique<Host>(directory_ + "/host.json");
    EXPECT_THAT(agent.ask(instance()), StartsWith("HTTP/1.1 200 "));
    EXPECT_EQ(agent.key_guid(), guid);
  }
  Agent again(directory_, imds_, wireserver_);
  EXPECT_EQ(again.wait_key(), guid);
  again.act_as(1000, Service::kImds);
  EXPECT_THAT(again.ask(instance()), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace msp
