// SPDX-License-Identifier: Apache-2.0
// The admin API over its real socket.
#include "gateway/admin_server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/fd.h"
#include "base/unix_socket.h"

namespace msp::gateway {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kMachine =
    R"({"name":"vm-1", "more" : 1.0e2,"properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc96401",
    "securityProfile":{"proxyAgentSettings":{"enabled":true,"keyIncarnationId":1}}}})";

std::string request(std::string_view method, std::string_view target, std::string_view body = {}) {
  return std::string(method) + " " + std::string(target) +
         " HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}

std::string envelope(std::string_view resource, std::string_view addresses = R"(["10.0.0.1"])") {
  return R"({"resources":[{"resource":)" + std::string(resource) + R"(,"sourceAddresses":)" + std::string(addresses) +
         "}]}";
}

/// Ids from one range, addresses from another.
std::string many_machines(int count, int ids, int network) {
  std::string many;
  for (int i = 0; i < count; ++i) {
    many += fmt::format(
        R"({}{{"resource":{{"name":"many-{}-{}","properties":{{"vmId":"6f9619ff-8b86-4d01-{:04x}-{:012x}"}}}},
        "sourceAddresses":["10.{}.{}.{}"]}})",
        i == 0 ? "" : ",", ids, i, ids, i, network, i / 200, i % 200);
  }
  return R"({"resources":[)" + many + "]}";
}

class AdminServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "admin_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/run/admin.sock";
    Config config;
    config.listeners = {{.interface = "br0"}};
    inventory_ = *Inventory::load(config);
    store_ = *open_sqlite_store(directory_ + "/host.db");
    ASSERT_TRUE(inventory_->open(*store_).ok());
    keys_ = *KeyRing::open(*store_, Secret::copy_of(std::string_view(std::string(32, 'm'))), inventory_->registry(),
                           clock_, 4);
    inventory_->attach(*keys_, [](const std::string&) {});
    server_.emplace(loop_, buffers_, *inventory_, state_, clock_);
    const auto listening = server_->listen(path_);
    ASSERT_TRUE(listening.ok()) << listening.error().text();
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    loop_.post([this] { finish().detach(); });
    thread_.join();
    EXPECT_NE(::access(path_.c_str(), F_OK), 0) << "a clean end takes the name away";
    server_.reset();
    std::filesystem::remove_all(directory_);
  }
  Task<void> finish() {
    co_await server_->drain(loop_.after_ms(1'000));
    loop_.stop();
  }
  Fd begin(const std::string& text) const {
    auto socket = connect_unix(path_);
    EXPECT_TRUE(socket.ok());
    EXPECT_EQ(::send(socket->get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    return std::move(*socket);
  }
  static std::string end(const Fd& socket) {
    std::string out;
    char buffer[65536];
    for (ssize_t n = 0; (n = ::recv(socket.get(), buffer, sizeof(buffer), 0)) > 0;) {
      out.append(buffer, static_cast<std::size_t>(n));
    }
    return out;
  }
  static std::string exchange(const std::string& path, const std::string& text) {
    const auto socket = connect_unix(path);
    if (!socket.ok()) {
      return "errno " + std::to_string(socket.error().code);
    }
    return ::send(socket->get(), text.data(), text.size(), MSG_NOSIGNAL) < 0 ? "send" : end(*socket);
  }
  std::string ask(std::string_view method, std::string_view target, std::string_view body = {}) const {
    return exchange(path_, request(method, target, body));
  }
  std::string ask_as(uid_t uid) const {
    int pipes[2];
    EXPECT_EQ(::pipe(pipes), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const std::string out =
          ::setresuid(uid, uid, uid) == 0 ? exchange(path_, request("GET", "/v1/virtualMachines")) : "setresuid";
      [[maybe_unused]] const auto n = ::write(pipes[1], out.data(), out.size());
      ::_exit(0);
    }
    ::close(pipes[1]);
    char buffer[65536];
    std::string out;
    for (ssize_t n = 0; (n = ::read(pipes[0], buffer, sizeof(buffer))) > 0;) {
      out.append(buffer, static_cast<std::size_t>(n));
    }
    ::close(pipes[0]);
    ::waitpid(child, nullptr, 0);
    return out;
  }

  std::string directory_;
  std::string path_;
  SystemClock clock_;
  Loop loop_;
  http::BufferPool buffers_;
  std::unique_ptr<HostStore> store_;
  std::unique_ptr<Inventory> inventory_;
  std::unique_ptr<KeyRing> keys_;
  GuestState state_{1 << 20};
  std::optional<AdminServer> server_;
  std::thread thread_;
};

TEST_F(AdminServerTest, OnlyItsOwnerGetsPastTheModeAndThePeerCheck) {
  if (::geteuid() != 0) {
    GTEST_FAIL() << "needs root to become another user";
  }
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600U);
  ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
  ASSERT_EQ(::chmod((directory_ + "/run").c_str(), 0755), 0);
  EXPECT_EQ(ask_as(65534), "errno " + std::to_string(EACCES));
  ASSERT_EQ(::chmod(path_.c_str(), 0666), 0);
  EXPECT_THAT(ask_as(65534), AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("not_owner")));
  EXPECT_THAT(ask_as(0), StartsWith("HTTP/1.1 200"));
}

TEST_F(AdminServerTest, ChangesThatMeetAreMadeOneAfterTheOther) {
  const Fd first = begin(request("POST", "/v1/apply", many_machines(400, 1, 1)));
  // Heard while that one is in the midst of it, most likely; in either order each of them is made whole.
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), HasSubstr(R"("effect":"created")"));
  EXPECT_THAT(ask("DELETE", "/v1/virtualMachines/vm-1"), HasSubstr(R"("effect":"deleted")"));
  EXPECT_THAT(end(first), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(inventory_->registry().all().size(), 400U);
}

TEST_F(AdminServerTest, OfTwoChangesThatWaitForAThirdOneIsMadeFirst) {
  const Fd first = begin(request("POST", "/v1/apply", many_machines(800, 1, 1)));
  const Fd second = begin(request("POST", "/v1/apply", many_machines(2000, 2, 2)));
  const Fd third = begin(request("POST", "/v1/apply", many_machines(2000, 3, 2)));
  EXPECT_THAT(end(first), StartsWith("HTTP/1.1 200"));
  const std::string a = end(second);
  const std::string b = end(third);
  EXPECT_NE(a.starts_with("HTTP/1.1 200"), b.starts_with("HTTP/1.1 200")) << "both want the same addresses";
  EXPECT_THAT(a + b, HasSubstr("is a source address of"));
  EXPECT_EQ(inventory_->registry().all().size(), 2800U);
}

TEST_F(AdminServerTest, WhatIsAppliedIsListedShownUnchangedAndDeleted) {
  EXPECT_THAT(ask("POST", "/v1/apply?dryRun=true", envelope(kMachine)),
              AllOf(HasSubstr(R"("dryRun":true)"), HasSubstr(R"("effect":"created")")));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines"), HasSubstr(R"({"value":[],"unknownCallers":[]})"));
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr(R"("what":"imds.mode","from":"","to":"enforce")")));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines"),
              AllOf(HasSubstr(R"("sourceAddresses":["10.0.0.1"],"addressesOf":"given")"), HasSubstr(R"("file":null)"),
                    HasSubstr(R"("keyGuid":null)")));
  for (const char* word : {"vm-1", "VM-1", "6F9619FF-8b86-4d01-b42d-00cf4fc96401", "%76m-1"}) {
    EXPECT_THAT(ask("GET", std::string("/v1/virtualMachines/") + word),
                HasSubstr(R"("resource":)" + std::string(kMachine) + "}"))
        << word;
  }
  EXPECT_THAT(ask("POST", "/v1/virtualMachines/vm-1/resetKey"),
              HasSubstr(R"("what":"keyIncarnationId","from":"1","to":"2")"));
  EXPECT_THAT(ask("POST", "/v1/virtualMachines/vm-1/rotateKey"),
              HasSubstr(R"("what":"keyIncarnationId","from":"2","to":"3")"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-1/rotateKey"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-1"), HasSubstr(R"("keyGuid":null,"keyOutgoing":null)"));
  EXPECT_THAT(ask("DELETE", "/v1/virtualMachines/vm-1"), HasSubstr(R"("effect":"deleted")"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-1"), StartsWith("HTTP/1.1 404"));
}

TEST_F(AdminServerTest, TheNetworkOfAMachineIsGivenBesideItShownAndTakenAway) {
  const auto apply = [&](std::string_view network) {
    return ask("POST", "/v1/apply",
               R"({"resources":[{"resource":)" + std::string(kMachine) +
                   R"(,"sourceAddresses":["10.0.0.1"],"network":)" + std::string(network) + "}]}");
  };
  EXPECT_THAT(apply(R"("br0")"), HasSubstr(R"("what":"network","from":"","to":"br0")"));
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines"), HasSubstr(R"("network":"br0")"));
  EXPECT_THAT(apply(R"("")"), HasSubstr(R"("what":"network","from":"br0","to":"")"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-1"), HasSubstr(R"("network":null)"));
  EXPECT_THAT(apply(R"("br1")"), AllOf(StartsWith("HTTP/1.1 409"), HasSubstr("no listener has the interface br1")));
  for (const char* bad : {R"("a b")", R"(["br0"])", "null"}) {
    EXPECT_THAT(apply(bad), StartsWith("HTTP/1.1 400")) << bad;
  }
}

TEST_F(AdminServerTest, WhoBelongsToNoMachineIsShown) {
  state_.unknown_callers.asked({10, 0, 0, 9}, "br0", 1'000'000'000);
  EXPECT_THAT(
      ask("GET", "/v1/virtualMachines"),
      HasSubstr(
          R"("unknownCallers":[{"address":"10.0.0.9","network":"br0","requests":1,"time":"1970-01-01T00:00:01.000Z"}])"));
}

TEST_F(AdminServerTest, WhatWasRefusedAndWouldBeIsShownAndForgotten) {
  const std::string id = "6f9619ff-8b86-4d01-b42d-00cf4fc96401";
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines"), HasSubstr(R"("refused":0,"last":null})"));
  inventory_->registry().find_by_id(id)->counters.last_ns = 2'000'000'000;
  EXPECT_THAT(ask("GET", "/v1/virtualMachines"), HasSubstr(R"("refused":0,"last":"1970-01-01T00:00:02.000Z"})"));

  const std::string audit = "/v1/virtualMachines/vm-1/audit";
  EXPECT_THAT(ask("GET", audit),
              HasSubstr(R"({"since":null,"requests":0,"namesCallers":false,"others":0,"value":[]})"));
  protocol::Caller caller;
  caller.user = "app";
  caller.denied = "no_rule";
  state_.audits.audited(id, {.caller = &caller, .method = "GET", .path = "/a", .request_id = "1", .now_ns = 1'000'000});
  state_.audits.refused(
      id, {.reason = Reason::kUnsigned, .method = "PUT", .path = "/\xff\"", .request_id = "2", .now_ns = 2'000'000});
  EXPECT_THAT(
      ask("GET", audit),
      AllOf(
          HasSubstr(R"("outcome":"would be refused","by":"rules","reason":"no_rule","remedy":"mspctl policy explain)"),
          HasSubstr(R"("lastRequest":{"id":"1","method":"GET","path":"/a"},"caller":{"uid":null,"user":"app")"),
          HasSubstr(R"("outcome":"refused","by":"host","reason":"unsigned","remedy":"mspctl status)"),
          HasSubstr(R"("count":1,"first":"1970-01-01T00:00:00.002Z","last":"1970-01-01T00:00:00.002Z")"),
          HasSubstr(R"("method":"PUT")"), HasSubstr(R"("caller":null)")));
  EXPECT_THAT(ask("POST", audit), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("DELETE", audit), HasSubstr(R"("value":[])"));
}

TEST_F(AdminServerTest, AMachineIsExportedAndImported) {
  const std::string answer = ask("GET", "/v1/recipient");
  const std::string_view before = R"({"recipient":")";
  ASSERT_THAT(answer, HasSubstr(before));
  const std::string recipient = answer.substr(answer.find(before) + before.size(), 64);
  const std::string wanted = R"({"recipient":")" + recipient + R"("})";
  EXPECT_THAT(ask("POST", "/v1/virtualMachines/vm-1/export", wanted), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), StartsWith("HTTP/1.1 200"));
  for (const char* bad : {"", "{}", R"({"recipient":"ab"})", R"({"recipient":7})"}) {
    EXPECT_THAT(ask("POST", "/v1/virtualMachines/vm-1/export", bad), StartsWith("HTTP/1.1 400")) << bad;
  }
  const std::string zeros = R"({"recipient":")" + std::string(64, '0') + R"("})";
  EXPECT_THAT(ask("POST", "/v1/virtualMachines/vm-1/export", zeros),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("/recipient"), HasSubstr("is no public key")));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-1/export"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("GET", "/v1/import"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("POST", "/v1/recipient"), StartsWith("HTTP/1.1 405"));
  const std::string exported = ask("POST", "/v1/virtualMachines/vm-1/export", wanted);
  ASSERT_THAT(exported, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr(R"("moves":1)"), HasSubstr(R"("key":null)")));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-1"), StartsWith("HTTP/1.1 404"));
  // On the same host it is no newer than what it knows.
  EXPECT_THAT(ask("POST", "/v1/import", exported.substr(exported.find("\r\n\r\n") + 4)),
              AllOf(StartsWith("HTTP/1.1 409"), HasSubstr("an old key could come back")));
  for (const char* bad : {"", "{}", R"({"machine":{}})", R"({"machine":7})"}) {
    EXPECT_THAT(ask("POST", "/v1/import", bad), StartsWith("HTTP/1.1 400")) << bad;
  }
}

TEST_F(AdminServerTest, WhatAGuestReportedIsShown) {
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(
      ask("GET", "/v1/virtualMachines/vm-1/reports"),
      AllOf(StartsWith("HTTP/1.1 200"), HasSubstr(R"("provisioning":{"state":"")"), HasSubstr(R"("document":null})")));
  state_.reports.status("6f9619ff-8b86-4d01-b42d-00cf4fc96401",
                        {.state = "Ready", .version = "2.7", .message = {}, .document = R"({"a":1})"}, 1'000'000'000);
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-1/reports"),
              AllOf(HasSubstr(R"("agent":{"state":"Ready","version":"2.7")"), HasSubstr(R"("document":{"a":1}})")));
  EXPECT_THAT(ask("POST", "/v1/virtualMachines/vm-1/reports"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-2/reports"), StartsWith("HTTP/1.1 404"));
}

TEST_F(AdminServerTest, EventsAreScheduledAndEnded) {
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), StartsWith("HTTP/1.1 200"));
  const std::string events = "/v1/virtualMachines/vm-1/events";
  EXPECT_THAT(ask("GET", events), HasSubstr(R"("value":[])"));
  EXPECT_THAT(
      ask("POST", events, R"({"type":"Reboot","inSeconds":60,"description":"d"})"),
      AllOf(StartsWith("HTTP/1.1 200"), HasSubstr(R"("status":"Scheduled")"), HasSubstr(R"("source":"Platform")")));
  for (const char* bad : {"", "{}", R"({"type":"reboot"})", R"({"type":"Reboot","inSeconds":-1})",
                          R"({"type":"Reboot","other":1})", R"({"type":"Reboot","source":"Nobody"})"}) {
    EXPECT_THAT(ask("POST", events, bad), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("malformed"))) << bad;
  }
  const std::string id = state_.events.at("6f9619ff-8b86-4d01-b42d-00cf4fc96401", 0).events.at(0).id;
  EXPECT_THAT(ask("DELETE", events + "/none"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("PUT", events), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("GET", events + "/" + id), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("DELETE", events + "/" + id), HasSubstr(R"("value":[])"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/vm-9/events"), StartsWith("HTTP/1.1 404"));
}

TEST_F(AdminServerTest, ARefusalListsTheFaults) {
  const std::string answer = ask("POST", "/v1/apply", envelope(kMachine, "[]"));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 409"));
  EXPECT_THAT(answer, HasSubstr(R"("faults":[{"resource":0,"pointer":"/properties/networkProfile","problem":"there is)"
                                R"( no source address","remedy":"give)"));
}

TEST_F(AdminServerTest, WhatIsNoRequestOfOursIsToldApart) {
  EXPECT_THAT(ask("POST", "/v1/apply", "{"), AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("malformed")));
  EXPECT_THAT(ask("POST", "/v1/apply", R"({"resources":[]})"), HasSubstr("holds none"));
  EXPECT_THAT(
      ask("POST", "/v1/apply", R"({"resources":[{"sourceAddresses":["x"],"y":1}]})"),
      AllOf(HasSubstr("/resources/0/resource"), HasSubstr("is not an IPv4 address"), HasSubstr("/resources/0/y")));
  EXPECT_THAT(ask("POST", "/v1/apply?dryRun=yes", envelope(kMachine)), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("GET", "/v1/apply"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("PUT", "/v1/virtualMachines"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(ask("GET", "/v1/virtualMachines/%2"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("GET", "/v1/accessControlProfiles/none"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(ask("GET", "/v2"), StartsWith("HTTP/1.1 404"));
}

TEST_F(AdminServerTest, EveryComplaintHasARemedy) {
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), StartsWith("HTTP/1.1 200"));
  struct Bad {
    std::string method;
    std::string target;
    std::string body = {};
  };
  const std::string vm = "/v1/virtualMachines/vm-1";
  for (const Bad& bad : std::vector<Bad>{{"POST", "/v1/apply", "{"},
                                         {"POST", "/v1/apply", R"({"resources":[{"resource":7}]})"},
                                         {"POST", "/v1/apply", envelope("7")},
                                         {"POST", "/v1/apply", envelope("{\"name\":\"a\"}")},
                                         {"POST", "/v1/apply", envelope(R"({"type":"Microsoft.Foo/bar"})")},
                                         {"POST", "/v1/apply?x", envelope(kMachine)},
                                         {"POST", "/v1/import", "{}"},
                                         {"POST", "/v1/import", R"({"machine":{}})"},
                                         {"PUT", "/v1/virtualMachines"},
                                         {"GET", "/v1/virtualMachines/%2"},
                                         {"GET", "/v1/virtualMachines/none"},
                                         {"GET", "/v1/accessControlProfiles/none"},
                                         {"GET", "/v1/scaleSets/none"},
                                         {"GET", "/v1/none"},
                                         {"POST", vm + "/export", "{}"},
                                         {"POST", vm + "/events", "{}"},
                                         {"DELETE", vm + "/events/none"}}) {
    EXPECT_THAT(ask(bad.method, bad.target, bad.body),
                AllOf(Not(StartsWith("HTTP/1.1 200")), HasSubstr(R"("remedy":")"), Not(HasSubstr(R"("remedy":""})")),
                      Not(HasSubstr(R"("remedy":"",)"))))
        << bad.method << " " << bad.target << " " << bad.body;
  }
}

TEST_F(AdminServerTest, ANameThatTwoHaveIsAmbiguous) {
  std::string other(kMachine);
  other.replace(other.find("96401"), 5, "96402");
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(kMachine)), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("POST", "/v1/apply", envelope(other, R"(["10.0.0.2"])")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("DELETE", "/v1/virtualMachines/vm-1"),
              AllOf(StartsWith("HTTP/1.1 409"), HasSubstr("ambiguous"), HasSubstr("96401, "), HasSubstr("96402")));
}

}  // namespace
}  // namespace msp::gateway
