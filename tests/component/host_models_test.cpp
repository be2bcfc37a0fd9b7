// SPDX-License-Identifier: Apache-2.0
// mspctl and a running msp-host in one process, over the real admin socket: what operators type, and what comes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>
#include <utility>

#include "cli/cli.h"
#include "gateway/app.h"

namespace msp {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kVersion =
    "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/galleries/N/inVMAccessControlProfiles/P/versions/"
    "1.0.0";

std::string version(const std::string& mode, const std::string& rules = "null") {
  return std::string(R"({"id":")") + kVersion + R"(","properties":{"defaultAccess":"Deny","mode":")" + mode +
         R"(","rules":)" + rules + "}}";
}
std::string machine(const std::string& name, const std::string& digit, const std::string& settings) {
  return R"({ "name":")" + name +
         R"(", "tags":{"n":1.50e3},"properties":{"vmId":"6f9619ff-8b86-4d01-b42d-00cf4fc9640)" + digit +
         R"(","securityProfile":{"proxyAgentSettings":)" + settings + "}}}";
}
std::string refers(const std::string& rest = "") {
  return R"({"enabled":true,"imds":{"inVMAccessControlProfileReferenceId":")" + std::string(kVersion) + "\"}" + rest +
         "}";
}

struct Said {
  int code = 0;
  std::string out;
  std::string err;
};

class HostModels : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "models_XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    write("host.json", R"({"stateDirectory":"state","accessLog":"a.jsonl","adminSocket":"run/admin.sock",
      "logLevel":"error","listeners":[{"address":"127.0.0.1","port":0,"service":"imds"}]})");
    start();
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(directory_);
  }
  void start() {
    auto config = gateway::load_config(directory_ + "/host.json");
    ASSERT_TRUE(config.ok()) << config.error().text();
    loop_ = std::make_unique<Loop>();
    auto app = gateway::HostApp::start(std::move(*config), *loop_, clock_, kept_);
    ASSERT_TRUE(app.ok()) << app.error().text();
    app_ = std::move(*app);
    thread_ = std::thread([this] { loop_->run(); });
  }
  void stop() {
    loop_->post([this] { finish().detach(); });
    thread_.join();
    app_.reset();
  }
  Task<void> finish() {
    co_await app_->drain(loop_->after_ms(500));
    loop_->stop();
  }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ + "/" + name, std::ios::trunc) << text;
    return directory_ + "/" + name;
  }
  Said mspctl(std::vector<std::string> words) const {
    words.insert(words.end(), {"--config", directory_ + "/host.json"});
    std::ostringstream out;
    std::ostringstream err;
    const int code = cli::run(words, out, err);
    return {.code = code, .out = out.str(), .err = err.str()};
  }

  std::string directory_;
  SystemClock clock_;
  gateway::KeptListeners kept_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<gateway::HostApp> app_;
  std::thread thread_;
};

TEST_F(HostModels, AMachineAndItsProfileComeAndGo) {
  const std::string vm = write("vm.json", machine("vm-1", "1", refers()));
  const std::string list = write("p.json", "{\"value\":[" + version("Enforce") + "]}");
  EXPECT_EQ(mspctl({"vm", "list"}).out, "no virtual machine\n");
  const Said early = mspctl({"vm", "apply", vm, "--source-address", "10.0.0.4"});
  EXPECT_EQ(early.code, 1);
  EXPECT_THAT(early.err, HasSubstr("nothing was changed: 1 fault"));
  EXPECT_THAT(early.err, HasSubstr("vm.json /properties/securityProfile/proxyAgentSettings/imds/"
                                   "inVMAccessControlProfileReferenceId: the profile version"));
  const Said both = mspctl({"vm", "apply", vm, list, "--source-address", "10.0.0.4"});
  EXPECT_EQ(both.code, 0) << both.err;
  EXPECT_THAT(both.out, HasSubstr("vm-1: created\n"));
  EXPECT_THAT(both.out, HasSubstr("guest vm-1:\n  + enabled: true\n"));
  stop();
  start();
  const Said shown = mspctl({"vm", "list"});
  EXPECT_THAT(shown.out, HasSubstr("NAME  VMID "));
  EXPECT_THAT(shown.out,
              HasSubstr("enforce  enforce     0            none  0        never       10.0.0.4   -        applied\n"));
  EXPECT_EQ(mspctl({"vm", "get", "vm-1"}).out, machine("vm-1", "1", refers()) + "\n");
  EXPECT_EQ(mspctl({"profile", "get", "P/1.0.0"}).out, version("Enforce") + "\n");
  EXPECT_THAT(mspctl({"profile", "list"}).out, HasSubstr("vm-1            applied"));
  const Said kept = mspctl({"profile", "delete", "P/1.0.0"});
  EXPECT_EQ(kept.code, 1);
  EXPECT_THAT(kept.err, HasSubstr("virtual machine vm-1 refers to"));
  EXPECT_EQ(mspctl({"vm", "delete", "vm-1"}).code, 0);
  EXPECT_EQ(mspctl({"profile", "delete", "P/1.0.0"}).code, 0);
  const Said gone = mspctl({"vm", "get", "vm-1"});
  EXPECT_EQ(gone.code, 1);
  EXPECT_THAT(gone.err, HasSubstr("there is no virtual machine 'vm-1'"));
}

/// Does something as soon as the first words are written.
class AtFirstWord final : public std::stringbuf {
 public:
  explicit AtFirstWord(std::function<void()> act) : act_(std::move(act)) {}

 protected:
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    if (auto act = std::exchange(act_, nullptr)) {
      act();
    }
    return std::stringbuf::xsputn(text, size);
  }

 private:
  std::function<void()> act_;
};

TEST_F(HostModels, AHostThatRestartsIsWaitedFor) {
  stop();
  AtFirstWord words([&] { start(); });
  std::ostream err(&words);
  std::ostringstream out;
  EXPECT_EQ(cli::run({"vm", "list", "--config", directory_ + "/host.json", "--wait", "300"}, out, err), 0);
  EXPECT_EQ(out.str(), "no virtual machine\n");
  EXPECT_THAT(words.str(), HasSubstr("admin.sock: waiting up to 300 s, it may be restarting\n"));
  const Said said = mspctl({"vm", "list", "--socket", directory_ + "/none.sock", "--wait", "0"});
  EXPECT_EQ(said.code, 2);
  EXPECT_THAT(said.err, AllOf(HasSubstr("msp-host is not running"), Not(HasSubstr("waiting"))));
}

TEST_F(HostModels, WhoTakesItForAnAgentIsToldWhatItIs) {
  const Said said = mspctl({"status", "--socket", directory_ + "/run/admin.sock"});
  EXPECT_EQ(said.code, 2);
  EXPECT_THAT(said.err,
              HasSubstr("admin.sock (said by --socket) is the admin socket of msp-host, not of an agent\n  -> "));
}

TEST_F(HostModels, WhatWasKnownOfAMachineGoesWithIt) {
  const std::string vm = write("vm.json", machine("vm-1", "1", R"({"enabled":true})"));
  ASSERT_EQ(mspctl({"vm", "apply", vm, "--source-address", "10.0.0.4"}).code, 0);
  ASSERT_EQ(mspctl({"vm", "event", "vm-1", "--schedule", "Reboot"}).code, 0);
  EXPECT_THAT(mspctl({"vm", "event", "vm-1"}).out, HasSubstr("Reboot"));
  ASSERT_EQ(mspctl({"vm", "delete", "vm-1"}).code, 0);
  ASSERT_EQ(mspctl({"vm", "apply", vm, "--source-address", "10.0.0.4"}).code, 0);
  EXPECT_THAT(mspctl({"vm", "event", "vm-1"}).out, Not(HasSubstr("Reboot")))
      << "the next machine of this vmId has none";
}

TEST_F(HostModels, DiffSaysWhatWouldChangeForTheGuestAndChangesNothing) {
  ASSERT_EQ(mspctl({"vm", "apply", write("vm.json", machine("vm-1", "1", refers())),
                    write("p.json", version("Enforce")), "--source-address", "10.0.0.4"})
                .code,
            0);
  const std::string next = version(
      "Audit", R"({"privileges":[{"name":"token","path":"/t"}],"roles":[],"identities":[],"roleAssignments":[]})");
  const Said diff = mspctl({"profile", "diff", write("next.json", next)});
  EXPECT_EQ(diff.code, 1);
  EXPECT_THAT(diff.out, HasSubstr("would be changed"));
  EXPECT_THAT(diff.out, HasSubstr("  ~ imds.mode: enforce -> audit\n"));
  EXPECT_THAT(diff.out, HasSubstr("  + imds.rules.privileges.token: {\"name\":\"token\",\"path\":\"/t\"}\n"));
  EXPECT_EQ(mspctl({"profile", "get", "P/1.0.0"}).out, version("Enforce") + "\n");
  const Said same = mspctl({"profile", "diff", directory_ + "/p.json"});
  EXPECT_EQ(same.code, 0);
  EXPECT_THAT(same.out, HasSubstr("no guest would notice anything of it"));
  const Said raised =
      mspctl({"vm", "diff", write("vm.json", machine("vm-1", "1", refers(R"(,"keyIncarnationId":4)")))});
  EXPECT_THAT(raised.out, HasSubstr("keyIncarnationId: 0 -> 4\n    the agent latches another key by itself\n"));
}

TEST_F(HostModels, ResettingTheKeyRaisesTheIncarnation) {
  ASSERT_EQ(mspctl({"vm", "apply", write("vm.json", machine("vm-1", "1", R"({"enabled":true})")), "--source-address",
                    "10.0.0.4"})
                .code,
            0);
  const Said reset = mspctl({"key", "reset", "vm-1"});
  EXPECT_EQ(reset.code, 0);
  EXPECT_THAT(reset.out, HasSubstr("keyIncarnationId: 0 -> 1"));
  EXPECT_EQ(mspctl({"vm", "get", "vm-1"}).out, machine("vm-1", "1", R"({"keyIncarnationId":1,"enabled":true})") + "\n");
  EXPECT_EQ(mspctl({"key", "reset", "vm-9"}).code, 1);
}

TEST_F(HostModels, MistakesOfAnOperatorSayWhatToDo) {
  const std::string vm = write("vm.json", machine("vm-1", "1", "{}"));
  EXPECT_THAT(mspctl({"vm", "apply", vm}).err, HasSubstr("-> give source addresses beside it"));
  EXPECT_EQ(mspctl({"vm", "apply", vm, "--source-address", "x"}).code, 2);
  EXPECT_THAT(mspctl({"profile", "apply", vm}).err, HasSubstr("use mspctl vm"));
  EXPECT_THAT(mspctl({"vm", "apply", write("bad.json", "{")}).err, HasSubstr("bad.json: line 1"));
  EXPECT_THAT(
      mspctl({"vm", "apply", vm, write("two.json", machine("vm-2", "2", "{}")), "--source-address", "10.0.0.1"}).err,
      HasSubstr("for one virtual machine, not for 2"));
  EXPECT_EQ(mspctl({"vm"}).code, 2);
  EXPECT_EQ(mspctl({"vm", "fly"}).code, 2);
  EXPECT_EQ(mspctl({"key", "--help"}).code, 0);
  const Said away = mspctl({"vm", "list", "--json", "--socket", directory_ + "/none.sock", "--wait", "0"});
  EXPECT_EQ(away.code, 2);
  EXPECT_THAT(away.err, HasSubstr("msp-host is not running"));
  EXPECT_THAT(away.out, HasSubstr(R"({"error":"msp-host is not running)"));
  write("host.json", "{}");
  EXPECT_THAT(mspctl({"vm", "list"}).err, HasSubstr("names no adminSocket"));
}

}  // namespace
}  // namespace msp
