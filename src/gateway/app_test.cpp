// SPDX-License-Identifier: Apache-2.0
// The whole host over real sockets on 127.0.0.0/8: machines are told apart by the address their connections come from.
#include "gateway/app.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "gateway/restore.h"
#include "protocol/key.h"
#include "protocol/status.h"
#include "protocol/wait.h"
#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using test::from_agent;
using test::RequestText;
using test::signed_with;
using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kEnforced = "127.0.0.11";
constexpr std::string_view kAudited = "127.0.0.12";
constexpr std::string_view kOff = "127.0.0.13";
constexpr std::string_view kStranger = "127.0.0.99";
constexpr std::string_view kInstance = "/metadata/instance?api-version=2021-02-01";

struct Reply {
  int status = 0;
  std::string head;
  std::string body;
};

/// Runs a HostApp on a thread of its own until destroyed.
class Running {
 public:
  explicit Running(const Config& config) {
    auto app = HostApp::start(config, loop_, clock_, kept_);
    if (!app) {
      error_ = app.error().text();
      return;
    }
    app_ = std::move(*app);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~Running() {
    if (thread_.joinable()) {
      loop_.post([this] { finish().detach(); });
      thread_.join();
    }
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  const std::string& error() const { return error_; }
  const HostApp& app() const { return *app_; }

 private:
  Task<void> finish() {
    co_await app_->drain(loop_.after_ms(2000));
    loop_.stop();
  }
  SystemClock clock_;
  KeptListeners kept_;
  Loop loop_;
  std::unique_ptr<HostApp> app_;
  std::string error_;
  std::thread thread_;
};

class HostTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "host_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    write("enforced.json", model(1, R"({"enabled":true,"keyIncarnationId":1})"));
    write("audited.json", model(2, R"({"enabled":true,"mode":"Audit"})"));
    write("off.json", model(3, R"({"enabled":false})"));
    write("host.json", R"({"stateDirectory":"state","accessLog":"access.jsonl","logLevel":"error","listeners":[
      {"address":"127.0.0.1","port":0,"service":"imds"},{"address":"127.0.0.1","port":0,"service":"wireserver"},
      {"address":"127.0.0.1","port":0,"service":"hostga"}],"virtualMachines":[
      {"model":"enforced.json","sourceAddresses":["127.0.0.11"]},
      {"model":"audited.json","sourceAddresses":["127.0.0.12"]},
      {"model":"off.json","sourceAddresses":["127.0.0.13"]}],"limits":{"pendingKeys":4,"imdsPerSecond":0}})");
    start();
  }
  void TearDown() override {
    host_.reset();
    std::filesystem::remove_all(directory_);
  }
  static std::string model(int number, const std::string& settings) {
    return R"({"name":"vm)" + std::to_string(number) +
           R"(","properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc9640)" + std::to_string(number) +
           R"(","securityProfile":{"proxyAgentSettings":)" + settings + "}}}";
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(directory_ + "/" + name) << text; }
  /// Begins anew with these limits, and these addresses of the first machine.
  void limit(const std::string& limits, const std::string& addresses = R"("127.0.0.11")") {
    std::stringstream text;
    text << std::ifstream(directory_ + "/host.json").rdbuf();
    std::string config = text.str();
    config.replace(config.find(R"("pendingKeys":4)"), 15, limits);
    config.replace(config.find(R"("127.0.0.11")"), 12, addresses);
    write("host.json", config);
    start();
  }
  void start() {
    host_.reset();
    auto config = load_config(directory_ + "/host.json");
    ASSERT_TRUE(config) << config.error().text();
    host_ = std::make_unique<Running>(*config);
    ASSERT_EQ(host_->error(), "");
  }
  std::string log_after_stop() {
    host_.reset();
    std::ifstream file(directory_ + "/access.jsonl");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  Fd connect(Service service, std::string_view from) const {
    return connect(host_->app().endpoints()[static_cast<std::size_t>(service)], from);
  }
  static Fd connect(const Ipv4Endpoint& to, std::string_view from) {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, std::string(from).c_str(), &address.sin_addr);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    address.sin_port = htons(to.port);
    std::memcpy(&address.sin_addr, to.address.data(), 4);
    EXPECT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    return socket;
  }
  static void send(const Fd& socket, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(count, 0);
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  static Reply receive(const Fd& socket) {
    std::string bytes;
    char buffer[65536];
    for (;;) {
      const auto end = bytes.find("\r\n\r\n");
      if (end != std::string::npos) {
        Reply reply{.status = std::stoi(bytes.substr(9, 3)), .head = bytes.substr(0, end + 2), .body = {}};
        const auto length_at = reply.head.find("content-length: ");
        const std::size_t length = length_at == std::string::npos ? 0 : std::stoul(reply.head.substr(length_at + 16));
        if (bytes.size() >= end + 4 + length) {
          reply.body = bytes.substr(end + 4, length);
          return reply;
        }
      }
      const ssize_t count = ::recv(socket.get(), buffer, sizeof(buffer), 0);
      if (count <= 0) {
        ADD_FAILURE() << "connection ended: " << bytes;
        return {};
      }
      bytes.append(buffer, static_cast<std::size_t>(count));
    }
  }
  Reply ask(Service service, std::string_view from, const RequestText& text) const {
    const Fd socket = connect(service, from);
    send(socket, text.bytes());
    return receive(socket);
  }
  static std::int64_t now() { return SystemClock().realtime_ns() / 1'000'000'000; }
  static RequestText get(std::string_view target) {
    RequestText text;
    text.target = target;
    text.header("Metadata", "true");
    return from_agent(text, now());
  }
  static RequestText acquire() {
    RequestText text;
    text.method = "POST";
    text.target = protocol::kKeyPath;
    text.body = protocol::kAcquireBody;
    return from_agent(text, now());
  }
  protocol::KeyDocument take_key(std::string_view from) const {
    const Reply reply = ask(Service::kWireServer, from, acquire());
    EXPECT_EQ(reply.status, 200) << reply.body;
    auto document = protocol::parse_key_document(reply.body, Source::kHost);
    EXPECT_TRUE(document) << document.error().text();
    return std::move(*document);
  }
  static RequestText attestation(const protocol::KeyDocument& key) {
    RequestText text;
    text.method = "POST";
    text.target = protocol::attestation_path(key.guid);
    return endorse(from_agent(text, now()), key);
  }
  static RequestText endorse(const RequestText& text, const protocol::KeyDocument& key) {
    auto secret = key.key();
    EXPECT_TRUE(secret);
    return signed_with(text, secret->reveal(), key.guid);
  }
  protocol::KeyDocument latch(std::string_view from) const {
    protocol::KeyDocument key = take_key(from);
    const Reply reply = ask(Service::kWireServer, from, attestation(key));
    EXPECT_EQ(reply.status, 200) << reply.body;
    return key;
  }
  protocol::StatusDocument status(std::string_view from) const {
    const Reply reply = ask(Service::kWireServer, from, get(protocol::kStatusPath));
    EXPECT_EQ(reply.status, 200);
    EXPECT_THAT(reply.head, HasSubstr("x-ms-azure-host-date: "));
    auto document = protocol::read_status(reply.body, "application/json; charset=utf-8");
    EXPECT_TRUE(document) << document.error().text() << "\n" << reply.body;
    return document ? std::move(*document) : protocol::StatusDocument{};
  }

  std::string directory_;
  std::unique_ptr<Running> host_;
};

TEST_F(HostTest, EndorsedRequestsAreServedAndNothingElse) {
  const protocol::KeyDocument key = latch(kEnforced);
  EXPECT_EQ(ask(Service::kImds, kEnforced, endorse(get(kInstance), key)).status, 200);
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, endorse(get("/?comp=versions"), key)).status, 200);
  EXPECT_EQ(ask(Service::kHostGaPlugin, kEnforced, endorse(get("/versions"), key)).status, 200);

  const Reply unsigned_reply = ask(Service::kImds, kEnforced, get(kInstance));
  EXPECT_EQ(unsigned_reply.status, 401);
  EXPECT_THAT(unsigned_reply.body, HasSubstr(R"("error":"unsigned")"));
  EXPECT_THAT(unsigned_reply.body, HasSubstr("request_id"));
  EXPECT_THAT(unsigned_reply.head, HasSubstr("www-authenticate: Azure-HMAC-SHA256"));
  EXPECT_THAT(unsigned_reply.head, HasSubstr("cache-control: no-store"));

  RequestText altered = endorse(get(kInstance), key);
  altered.target += "&format=json";
  const Reply altered_reply = ask(Service::kImds, kEnforced, altered);
  EXPECT_EQ(altered_reply.status, 401);
  EXPECT_THAT(altered_reply.body, HasSubstr("bad_signature"));
}

TEST_F(HostTest, AKeyIsWorthNothingFromAnotherMachine) {
  const protocol::KeyDocument key = latch(kEnforced);
  write("audited.json", model(2, R"({"enabled":true})"));
  start();
  const Reply reply = ask(Service::kImds, kAudited, endorse(get(kInstance), key));
  EXPECT_EQ(reply.status, 403);
  EXPECT_THAT(reply.body, HasSubstr("foreign_key"));
  EXPECT_EQ(ask(Service::kImds, kEnforced, endorse(get(kInstance), key)).status, 200);
}

TEST_F(HostTest, StatusFollowsTheLatch) {
  protocol::StatusDocument before = status(kEnforced);
  EXPECT_TRUE(protocol::key_needed(before));
  EXPECT_FALSE(before.key_guid);
  EXPECT_EQ(before.key_incarnation_id, 1U);
  EXPECT_EQ(protocol::state_text(before), "WireServer Enforce -  IMDS Enforce - HostGA Enforce");
  EXPECT_NE(protocol::rule_id(before, Service::kImds), "");
  const protocol::KeyDocument key = take_key(kEnforced);
  EXPECT_FALSE(status(kEnforced).key_guid) << "pending is not latched";
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, attestation(key)).status, 200);
  EXPECT_EQ(status(kEnforced).key_guid, key.guid);
  EXPECT_EQ(protocol::state_text(status(kAudited)), "WireServer Audit -  IMDS Audit - HostGA Audit");
  EXPECT_EQ(protocol::state_text(status(kOff)), "disabled");
}

TEST_F(HostTest, ALatchedKeyIsNeverHandedOutAgain) {
  const protocol::KeyDocument thief = take_key(kEnforced);
  const protocol::KeyDocument agent = latch(kEnforced);
  EXPECT_NE(thief.guid, agent.guid);
  const Reply again = ask(Service::kWireServer, kEnforced, acquire());
  EXPECT_EQ(again.status, 403);
  EXPECT_THAT(again.body, HasSubstr("key_latched"));
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, attestation(thief)).status, 401);
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, attestation(agent)).status, 200) << "repeated, as after a lost answer";
  start();
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, acquire()).status, 403) << "also after a restart";
  EXPECT_EQ(status(kEnforced).key_guid, agent.guid);
  EXPECT_EQ(ask(Service::kImds, kEnforced, endorse(get(kInstance), agent)).status, 200);
}

TEST_F(HostTest, AMachineGetsSoManyKeysASecondAndNoMore) {
  constexpr int kAsked = 60;
  const auto begun = std::chrono::steady_clock::now();
  int given = 0;
  for (int i = 0; i < kAsked; ++i) {
    const Reply reply = ask(Service::kWireServer, kEnforced, acquire());
    given += reply.status == 200 ? 1 : 0;
    EXPECT_TRUE(reply.status == 200 || (reply.status == 429 && reply.body.contains("too_many_requests")))
        << reply.status << reply.body;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  EXPECT_GE(given, 5);
  EXPECT_LE(given, 5 * (1 + seconds) + 1);
  EXPECT_EQ(ask(Service::kWireServer, kAudited, acquire()).status, 200) << "each machine has its own";
}

TEST_F(HostTest, WhoBelongsToNoMachineKeepsNobodyOut) {
  limit(R"("connections":8,"connectionsOfUnknown":2)");
  const std::string slow = "POST /machine HTTP/1.1\r\nhost: h\r\ncontent-length: 102400\r\n";
  std::vector<Fd> open;
  for (int i = 0; i < 2; ++i) {  // a head that does not end
    open.push_back(connect(Service::kImds, "127.0.0.9" + std::to_string(i)));
    send(open.back(), slow);
  }
  EXPECT_EQ(receive(connect(Service::kImds, "127.0.0.92")).status, 503);
  EXPECT_EQ(ask(Service::kImds, kOff, get(kInstance)).status, 200);
  // A head that is there is answered, the body is not waited for.
  for (const Fd& socket : open) {
    send(socket, "\r\n");
    const Reply reply = receive(socket);
    EXPECT_EQ(reply.status, 403);
    EXPECT_THAT(reply.body, HasSubstr("unknown_caller"));
  }
  EXPECT_EQ(host_->app().unknown_callers(), 3U) << "the one that was turned away at once, too";
  EXPECT_THAT(log_after_stop(), AllOf(HasSubstr("too_many_connections"), HasSubstr("127.0.0.92")));
}

TEST_F(HostTest, WhoHasHungUpBeforeHeWasHeardIsTheSame) {
  const Reply busy = ask(Service::kImds, kEnforced, get(kInstance));  // the loop is there
  EXPECT_EQ(busy.status, 401);
  for (int i = 0; i < 200; ++i) {
    Fd socket = connect(Service::kImds, kOff);
    send(socket, "GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ASSERT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
  }
  EXPECT_EQ(ask(Service::kImds, kOff, get(kInstance)).status, 200);
  EXPECT_EQ(host_->app().unknown_callers(), 0U);
  EXPECT_THAT(log_after_stop(), Not(HasSubstr("0.0.0.0")));
}

TEST_F(HostTest, AMachineWithManyAddressesIsOne) {
  limit(R"("connections":8,"connectionsPerMachine":2)", R"("127.0.0.11","127.0.0.14")");
  std::vector<Fd> open;
  open.push_back(connect(Service::kImds, "127.0.0.11"));
  open.push_back(connect(Service::kImds, "127.0.0.14"));
  EXPECT_EQ(receive(connect(Service::kImds, "127.0.0.14")).status, 503);
  EXPECT_EQ(ask(Service::kImds, kOff, get(kInstance)).status, 200);
}

TEST_F(HostTest, OneClientLeavesThePlaceOfTokensToOthers) {
  write("host.json", R"({"stateDirectory":"state","accessLog":"access.jsonl","logLevel":"error",
      "tokens":{"issuer":"https://issuer.example","address":"127.0.0.1","port":0,"algorithm":"ES256"},
      "listeners":[{"address":"127.0.0.1","port":0,"service":"imds"}],"virtualMachines":[
      {"model":"off.json","sourceAddresses":["127.0.0.13"]}],"limits":{"connections":8,"connectionsPerMachine":2}})");
  start();
  const Ipv4Endpoint tokens = host_->app().endpoints().back();
  const Fd idle[] = {connect(tokens, kStranger), connect(tokens, kStranger)};
  EXPECT_EQ(receive(connect(tokens, kStranger)).status, 503);
  const Fd verifier = connect(tokens, "127.0.0.98");
  send(verifier, "GET /.well-known/jwks.json HTTP/1.1\r\nhost: h\r\n\r\n");
  EXPECT_EQ(receive(verifier).status, 200);
}

TEST_F(HostTest, NoBodyIsReadOfWhatIsRefusedForItsHead) {
  const protocol::KeyDocument key = latch(kEnforced);
  const auto first_answer = [&](std::string_view from, const std::string& more) {
    const Fd socket = connect(Service::kWireServer, from);
    send(socket, "POST /machine?comp=health HTTP/1.1\r\nhost: h\r\ncontent-length: 102400\r\nexpect: 100-continue\r\n" +
                     more + "\r\n");
    return receive(socket);
  };
  const auto signed_by = [](std::string_view guid) {
    return "x-ms-azure-host-authorization: Azure-HMAC-SHA256 " + std::string(guid) + " " + std::string(64, 'a') +
           "\r\n";
  };
  const Reply bare = first_answer(kEnforced, "");
  EXPECT_EQ(bare.status, 401);
  EXPECT_THAT(bare.body, HasSubstr("\"unsigned\""));
  const Reply unknown = first_answer(kEnforced, signed_by("00000000-0000-0000-0000-000000000000"));
  EXPECT_EQ(unknown.status, 401);
  EXPECT_THAT(unknown.body, HasSubstr("unknown_key"));
  // Whether this one fits is not known without the body; in audit mode it counts in any case.
  EXPECT_EQ(first_answer(kEnforced, signed_by(key.guid)).status, 100);
  EXPECT_EQ(first_answer(kAudited, "").status, 100);
  EXPECT_EQ(host_->app().registry().all()[0]->counters.refused[static_cast<std::size_t>(Reason::kUnsigned)], 1U);
}

TEST_F(HostTest, AKeyRequestMayComeInPieces) {
  const Fd socket = connect(Service::kWireServer, kEnforced);
  RequestText text = acquire();
  text.header("expect", "100-continue");
  send(socket, text.head());
  EXPECT_EQ(receive(socket).status, 100) << "the body is waited for";
  send(socket, text.body);
  EXPECT_EQ(receive(socket).status, 200);
}

TEST_F(HostTest, WhoWaitsForAChangeIsToldOfALatchAtOnce) {
  const auto poll = [&](std::string_view tag) {
    RequestText text = get(protocol::kStatusPath);
    return text.header(std::string(protocol::kWaitHeader), std::string(tag) + " 30");
  };
  const protocol::KeyDocument key = take_key(kEnforced);
  const Reply before = ask(Service::kWireServer, kEnforced, poll(protocol::kNoTag));
  const auto at = before.head.find(std::string(protocol::kWaitHeader) + ": ") + protocol::kWaitHeader.size() + 2;
  const std::string tag = before.head.substr(at, before.head.find(' ', at) - at);
  const Fd waiting = connect(Service::kWireServer, kEnforced);
  send(waiting, poll(tag).bytes());
  char byte = 0;
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(::recv(waiting.get(), &byte, 1, MSG_DONTWAIT), -1) << "nothing has changed";
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, attestation(key)).status, 200);
  EXPECT_THAT(receive(waiting).body, HasSubstr(key.guid)) << "within the patience of receive(), not of the poll";
}

TEST_F(HostTest, AHostThatRestartsBetweenIssueAndAttestationGoesOn) {
  const protocol::KeyDocument key = take_key(kEnforced);
  start();
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, attestation(key)).status, 200);
  EXPECT_EQ(status(kEnforced).key_guid, key.guid);
}

TEST_F(HostTest, RaisingTheIncarnationAllowsOneNewLatch) {
  const protocol::KeyDocument old_key = latch(kEnforced);
  write("enforced.json", model(1, R"({"enabled":true,"keyIncarnationId":2})"));
  start();
  EXPECT_FALSE(status(kEnforced).key_guid);
  EXPECT_EQ(ask(Service::kImds, kEnforced, endorse(get(kInstance), old_key)).status, 401);
  const protocol::KeyDocument fresh = latch(kEnforced);
  EXPECT_EQ(fresh.incarnation_id, 2U);
  EXPECT_EQ(ask(Service::kImds, kEnforced, endorse(get(kInstance), fresh)).status, 200);
}

TEST_F(HostTest, ChannelRefusesWhatIsNotItsForm) {
  RequestText wrong_scheme = acquire();
  wrong_scheme.body = R"({"authorizationScheme": "Azure-HMAC-SHA257"})";
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, wrong_scheme).status, 400);
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, get(protocol::kKeyPath)).status, 405);
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, get("/secure-channel/other")).status, 404);
  EXPECT_EQ(ask(Service::kWireServer, kOff, get("//secure%2Dchannel/status")).status, 404);
  EXPECT_EQ(ask(Service::kWireServer, kOff, acquire()).status, 403);
  EXPECT_EQ(ask(Service::kImds, kEnforced, get(protocol::kStatusPath)).status, 401) << "the channel is WireServer's";
  const protocol::KeyDocument key = take_key(kEnforced);
  RequestText bare = attestation(key);
  bare.headers.pop_back();
  EXPECT_EQ(ask(Service::kWireServer, kEnforced, bare).status, 401);
  EXPECT_FALSE(status(kEnforced).key_guid);
}

TEST_F(HostTest, AuditServesAndTellsWhatEnforceWouldRefuse) {
  EXPECT_EQ(ask(Service::kImds, kAudited, get(kInstance)).status, 200);
  EXPECT_EQ(ask(Service::kImds, kOff, get(kInstance)).status, 200);
  for (const auto& vm : host_->app().registry().all()) {
    EXPECT_EQ(vm->counters.audited, vm->model.name == "vm2" ? 1U : 0U) << vm->model.name;
  }
  const std::string log = log_after_stop();
  EXPECT_THAT(log, HasSubstr(R"("outcome":"audited","status":200,"reason":"unsigned","vm":"vm2")"));
  EXPECT_THAT(log, HasSubstr(R"("outcome":"open","status":200,"vm":"vm3")"));
}

TEST_F(HostTest, AStrangerIsRefusedAndCounted) {
  for (const Service service : {Service::kImds, Service::kWireServer, Service::kHostGaPlugin}) {
    const Reply reply = ask(service, kStranger, get(protocol::kStatusPath));
    EXPECT_EQ(reply.status, 403);
    EXPECT_THAT(reply.body, HasSubstr("unknown_caller"));
  }
  EXPECT_EQ(ask(Service::kWireServer, kStranger, acquire()).status, 403);
  EXPECT_THAT(log_after_stop(), HasSubstr(R"("reason":"unknown_caller")"));
}

TEST_F(HostTest, OnlyRootsRequestsReachWireServer) {
  const protocol::KeyDocument key = latch(kEnforced);
  RequestText text;
  text.target = "/?comp=versions";
  const Reply reply = ask(Service::kWireServer, kEnforced, endorse(from_agent(text, now(), false), key));
  EXPECT_EQ(reply.status, 403);
  EXPECT_THAT(reply.body, HasSubstr("not_elevated"));
  RequestText instance;
  instance.target = kInstance;
  instance.header("Metadata", "true");
  EXPECT_EQ(ask(Service::kImds, kEnforced, endorse(from_agent(instance, now(), false), key)).status, 200);
}

TEST_F(HostTest, ManyRequestsOnOneConnection) {
  const protocol::KeyDocument key = latch(kEnforced);
  const Fd socket = connect(Service::kImds, kEnforced);
  for (int i = 0; i < 50; ++i) {
    send(socket, endorse(get(kInstance), key).bytes());
    EXPECT_EQ(receive(socket).status, 200);
    send(socket, get(kInstance).bytes());
    EXPECT_EQ(receive(socket).status, 401);
  }
  send(socket, endorse(get(kInstance), key).bytes() + get(kInstance).bytes());
  EXPECT_EQ(receive(socket).status, 200);
}

TEST_F(HostTest, WhoAsksIsSaidByTheAddressAndByTheInterfaceOfTheListener) {
  write("host.json", R"({"stateDirectory":"state","accessLog":"access.jsonl","logLevel":"error","listeners":[
      {"address":"127.0.0.1","port":0,"service":"imds","interface":"lo"},
      {"address":"127.0.0.1","port":0,"service":"wireserver"}],"virtualMachines":[
      {"model":"enforced.json","sourceAddresses":["127.0.0.11"],"network":"lo"},
      {"model":"off.json","sourceAddresses":["127.0.0.11","127.0.0.13"]}]})");
  start();
  EXPECT_EQ(ask(Service::kImds, "127.0.0.11", get(kInstance)).status, 401) << "of the enforced one: unsigned";
  EXPECT_EQ(ask(Service::kImds, "127.0.0.13", get(kInstance)).status, 200);
  EXPECT_EQ(ask(Service::kWireServer, "127.0.0.11", get("/?comp=versions")).status, 200) << "of the other one";
  EXPECT_EQ(ask(Service::kWireServer, "127.0.0.12", get("/?comp=versions")).status, 403);
  const std::string log = log_after_stop();
  EXPECT_THAT(log, HasSubstr(R"("network":"lo","reason":"unsigned","vm":"vm1")"));
  EXPECT_THAT(log, HasSubstr(R"("status":200,"vm":"vm3")"));
  EXPECT_THAT(log, HasSubstr(R"("status":403,"reason":"unknown_caller")"));
}

TEST_F(HostTest, ALargeLogUploadIsTakenUnsignedAndNotKept) {
  constexpr std::size_t kSize = 20 << 20;
  const Fd socket = connect(Service::kHostGaPlugin, kEnforced);
  send(socket, "PUT /vmAgentLog HTTP/1.1\r\nHost: 168.63.129.16:32526\r\nContent-Length: " + std::to_string(kSize) +
                   "\r\n\r\n");
  const std::string piece(1 << 20, 'z');
  for (std::size_t sent = 0; sent < kSize; sent += piece.size()) {
    send(socket, piece);
  }
  EXPECT_EQ(receive(socket).status, 200);
  const Fd other = connect(Service::kHostGaPlugin, kEnforced);
  send(other, "PUT /vmAgentLog HTTP/1.1\r\nHost: 168.63.129.16:32526\r\nContent-Length: 104857601\r\n\r\n");
  EXPECT_EQ(receive(other).status, 413);
  EXPECT_THAT(log_after_stop(), HasSubstr(R"("outcome":"exempt","status":200,"vm":"vm1")"));
}

TEST_F(HostTest, WhatIsNoRequestLeavesALineToo) {
  const Fd socket = connect(Service::kImds, kEnforced);
  send(socket, "GET /metadata/versions HTTP/1.1\r\nHost : x\r\n\r\n");
  EXPECT_EQ(receive(socket).status, 400);
  EXPECT_THAT(log_after_stop(), HasSubstr(R"("outcome":"refused","status":400,"reason":")"));
}

TEST_F(HostTest, NoKeyStandsInTheLog) {
  const protocol::KeyDocument key = latch(kEnforced);
  ask(Service::kImds, kEnforced, endorse(get("/metadata/versions?token=verysecret"), key));
  const std::string log = log_after_stop();
  EXPECT_THAT(log, HasSubstr(R"("outcome":"verified")"));
  EXPECT_EQ(log.find(key.key_hex.reveal()), std::string::npos);
  EXPECT_EQ(log.find("verysecret"), std::string::npos);
}

TEST_F(HostTest, ASecondHostOnTheSameStateIsRefused) {
  auto config = load_config(directory_ + "/host.json");
  ASSERT_TRUE(config);
  const Running second(*config);
  EXPECT_NE(second.error(), "");
}

TEST_F(HostTest, NothingIsRestoredUnderAHostWhoseDatabaseWasMovedAway) {
  const auto config = load_config(directory_ + "/host.json");
  ASSERT_TRUE(config);
  const std::string database = directory_ + "/state/host.db";
  std::filesystem::copy_file(database, directory_ + "/backup.db");
  std::filesystem::rename(database, directory_ + "/moved.db");
  const auto restored = restore(*config, directory_ + "/backup.db");
  ASSERT_FALSE(restored);
  EXPECT_THAT(restored.error().text(), HasSubstr("is held by another msp-host"));
  EXPECT_FALSE(std::filesystem::exists(database));
}

}  // namespace
}  // namespace msp::gateway
