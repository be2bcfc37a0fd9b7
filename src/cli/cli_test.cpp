// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/unix_socket.h"
#include "base/version.h"
#include "cli/status_view.h"
#include "cli/test_agent.h"
#include "status/example_snapshot.h"
#include "status/report.h"

namespace msp::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

/// As a file on a disk without room: the fault shows when the buffer is written out.
class FullDisk : public std::streambuf {
 protected:
  std::streamsize xsputn(const char* /*text*/, std::streamsize size) override { return size; }
  int overflow(int c) override { return c; }
  int sync() override { return -1; }
};

TEST(CliOutput, WhatCannotBeWrittenIsAnErrorOfEveryVerb) {
  const std::string rules = std::string(testing::TempDir()) + "msp-cli-output-rules.json";
  std::ofstream(rules) << R"({"imds":{"defaultAccess":"deny","mode":"enforce","id":"x"}})";
  const std::string cases = std::string(testing::TempDir()) + "msp-cli-output-cases.json";
  std::ofstream(cases)
      << R"({"cases":[{"name":"a","as":"b","request":"GET http://169.254.169.254/","expect":"permit"}]})";
  const std::string lines = std::string(testing::TempDir()) + "msp-cli-output-lines.jsonl";
  std::ofstream(lines) << R"({"as":"b","request":"GET http://169.254.169.254/"})";
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"policy", "convert", "--to", "item", rules},
        {"policy", "lint", rules},
        {"policy", "diff", rules, rules},
        {"policy", "simulate", "--requests", lines, "--rules", rules},
        {"policy", "test", cases},
        {"policy", "explain", "--no-rules", "--as", "a", "GET", "http://169.254.169.254/"},
        {"policy", "--help"},
        {"--version"},
        {"status", "--json", "--socket", "/none"}}) {
    FullDisk disk;
    std::ostream out(&disk);
    std::ostringstream err;
    EXPECT_EQ(run(arguments, out, err), kExitCannotTell) << testing::PrintToString(arguments);
    EXPECT_THAT(err.str(), HasSubstr("the output could not be written"));
  }
}

using Cli = TestAgent;

TEST_F(Cli, HelpVersionAndMistakes) {
  EXPECT_EQ(call({"--version"}).out, std::string(version()) + "\n");
  EXPECT_EQ(call({"--help"}).code, 0);
  EXPECT_THAT(call({"--help"}).out, HasSubstr("status"));
  EXPECT_EQ(call({"status", "--help"}).code, 0);
  EXPECT_THAT(call({"status", "--help"}).out, HasSubstr("--json"));
  EXPECT_EQ(call({}).code, kExitCannotTell);
  EXPECT_EQ(call({"stats"}).code, kExitCannotTell);
  EXPECT_THAT(call({"stats"}).err, HasSubstr("no verb 'stats'"));
  EXPECT_THAT(call({"sta\nts"}).err, HasSubstr(R"(no verb 'sta\nts')"));
  EXPECT_EQ(call({"status", "--jsn"}).code, kExitCannotTell);
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"status", "--json=false"},
                                                    {"status", "--help=false"},
                                                    {"doctor", "--json=0"},
                                                    {"vm", "list", "--json=false"},
                                                    {"policy", "convert", "--to", "item", "--lossy=false", "/none"}}) {
    EXPECT_THAT(call(arguments).out + call(arguments).err, HasSubstr("flag override"))
        << testing::PrintToString(arguments);
    EXPECT_EQ(call(arguments).code, kExitCannotTell) << testing::PrintToString(arguments);
  }
  for (const char* command : {"vm", "vmss", "profile", "host", "key"}) {
    const std::string help = call({command, "--help"}).out;
    EXPECT_THAT(help, HasSubstr("mspctl " + std::string(command) + ": "));
    std::istringstream lines(help);
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), 120U) << line;
      const bool of_verb = line.starts_with("  ") && !line.starts_with("  mspctl ");
      EXPECT_TRUE(!of_verb || line.find("  ", 2) != std::string::npos) << "a verb runs into its help: " << line;
    }
  }
}

TEST_F(Cli, ProtectedMachine) {
  serve(status::example_snapshot());
  const Outcome outcome = call({"status", "--socket", socket});
  EXPECT_EQ(outcome.code, kExitProtected) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("PROTECTED: "));
  EXPECT_THAT(outcome.out, HasSubstr("connect4"));
  EXPECT_THAT(outcome.out, HasSubstr("7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11 (incarnation 3)"));
  EXPECT_THAT(outcome.out, HasSubstr("rules rules-v7"));
  EXPECT_THAT(outcome.out, HasSubstr("alice (uid 1000)"));
  EXPECT_THAT(outcome.out, HasSubstr("+0.4 s"));
}

TEST_F(Cli, NotFullyProtectedMachineSaysWhatToDo) {
  status::Snapshot snapshot = status::example_snapshot();
  snapshot.channel.phase = "refused";
  snapshot.channel.key_guid.clear();
  snapshot.channel.closed = true;
  serve(snapshot);
  const Outcome outcome = call({"status", "--socket", socket});
  EXPECT_EQ(outcome.code, kExitNotFully);
  EXPECT_THAT(outcome.out, HasSubstr("NOT FULLY PROTECTED"));
  EXPECT_THAT(outcome.out, HasSubstr("-> the host refuses another key"));
  EXPECT_THAT(outcome.out, HasSubstr("CLOSED"));
}

TEST_F(Cli, JsonIsTheAgentsOwn) {
  serve(status::example_snapshot());
  const Outcome outcome = call({"status", "--json", "--socket", socket});
  EXPECT_EQ(outcome.code, kExitProtected);
  const auto shown = json::parse(outcome.out);
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(json::to_text(*shown), status::status_json(status::example_snapshot()));
}

TEST_F(Cli, SocketFromTheConfiguration) {
  serve(status::example_snapshot());
  const std::string config = directory + "/agent.json";
  std::ofstream(config) << R"({"openmsp":{"controlSocket":")" << socket << R"("}})";
  EXPECT_EQ(call({"status", "--config", config}).code, kExitProtected);
  EXPECT_EQ(call({"--config", config, "status"}).code, kExitProtected) << "also before the verb";
  EXPECT_EQ(call({"--config", config, "status", "--json"}).code, kExitProtected);
  EXPECT_EQ(call({"--config=" + config, "status"}).code, kExitProtected) << "in either form";
  EXPECT_EQ(call({"--socket=" + socket, "status", "--json"}).code, kExitProtected);
  EXPECT_THAT(call({"--config=" + config}).err, HasSubstr("the verb is missing"));
  EXPECT_THAT(call({"--config=" + config, "stats"}).err, HasSubstr("no verb 'stats'"));
  EXPECT_THAT(call({"--configure", "status"}).err, HasSubstr("no verb '--configure'"));
  EXPECT_EQ(call({"--config", config}).code, kExitCannotTell);
  EXPECT_THAT(call({"--config", config}).err, HasSubstr("the verb is missing"));
  EXPECT_THAT(call({"--config"}).err, HasSubstr("the verb is missing"));
  EXPECT_THAT(call({"--config", config, "stats"}).err, HasSubstr("no verb 'stats'"));
  EXPECT_EQ(call({"status", "--config", directory + "/none"}).code, kExitCannotTell);
}

// "--config=FILE" before a group was called a verb that the group does not have.
TEST_F(Cli, WhereToAskMayBeSaidBeforeAGroupInEitherForm) {
  const std::string none = directory + "/none";
  // The host's are not to wait for one that may be restarting.
  const std::vector<std::vector<std::string>> verbs{
      {"vm", "list", "--wait=0"},       {"vmss", "list", "--wait=0"},
      {"profile", "list", "--wait=0"},  {"host", "backup", directory + "/copy", "--wait=0"},
      {"key", "recipient", "--wait=0"}, {"policy", "show"}};
  for (const std::vector<std::string>& verb : verbs) {
    for (const std::string option : {"--config", "--socket"}) {
      const auto said = [&](std::vector<std::string> before, std::size_t place) {
        std::vector<std::string> arguments = verb;
        arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(place), before.begin(), before.end());
        const Outcome outcome = call(arguments);
        EXPECT_EQ(outcome.code, kExitCannotTell) << testing::PrintToString(arguments);
        EXPECT_THAT(outcome.err, AllOf(HasSubstr(none), Not(HasSubstr("verb")))) << testing::PrintToString(arguments);
        return outcome.out + outcome.err;
      };
      const std::string behind = said({option, none}, verb.size());
      for (const std::size_t place : {0U, 1U}) {
        EXPECT_EQ(said({fmt::format("{}={}", option, none)}, place), behind);
        EXPECT_EQ(said({option, none}, place), behind);
      }
    }
  }
  for (const char* group : {"vm", "vmss", "profile", "host", "key", "policy"}) {
    EXPECT_THAT(call({"--config=" + none, group}).err, HasSubstr("the verb is missing")) << group;
    EXPECT_THAT(call({group, "--config"}).err, HasSubstr("the verb is missing")) << group;
    EXPECT_THAT(call({"--socket=" + none, group, "no-such"}).err, HasSubstr("no verb 'no-such'")) << group;
    EXPECT_EQ(call({"--config=" + none, group, "--help"}).out, call({group, "--help"}).out) << group;
  }
}

// Of two sockets the last one was taken, and a file that says nothing was the default: another instance's agent
// answered.
TEST_F(Cli, WhichIsAskedIsNoGuess) {
  serve(status::example_snapshot());
  const std::string config = directory + "/agent.json";
  std::ofstream(config) << R"({"openmsp":{"controlSocket":"/none","controlSocket":")" << socket << R"("}})";
  EXPECT_EQ(call({"status", "--config", config}).code, kExitCannotTell);
  EXPECT_THAT(call({"status", "--config", config}).err,
              HasSubstr("/openmsp/controlSocket at line 1, column 37: occurs twice"));
  for (const std::string_view text : {"null", "[]"}) {
    std::ofstream(config, std::ios::trunc) << text;
    EXPECT_THAT(call({"status", "--config", config}).err, HasSubstr("expected an object")) << text;
    EXPECT_THAT(call({"vm", "list", "--config", config}).err, HasSubstr("expected an object")) << text;
  }
  std::ofstream(config, std::ios::trunc) << R"({"adminSocket":"/none","adminSocket":")" << socket << R"("})";
  EXPECT_THAT(call({"vm", "list", "--config", config}).err,
              HasSubstr("/adminSocket at line 1, column 24: occurs twice"));
}

TEST_F(Cli, ProgramsGetAnObjectWhateverFails) {
  std::ofstream(directory + "/bad.json") << "{";
  std::filesystem::permissions(directory + "/bad.json", std::filesystem::perms::owner_read);
  const std::vector<std::vector<std::string>> failures{{"status", "--json", "--config", directory + "/none"},
                                                       {"status", "--json", "--config", directory + "/bad.json"},
                                                       {"status", "--json", "--no-such-option"},
                                                       {"status", "--json", "--socket"}};
  for (const auto& arguments : failures) {
    const Outcome outcome = call(arguments);
    EXPECT_EQ(outcome.code, kExitCannotTell);
    const auto shown = json::parse(outcome.out);
    ASSERT_TRUE(shown.ok()) << arguments.back() << ": " << outcome.out;
    EXPECT_TRUE(shown->find("protected")->is_null());
    EXPECT_FALSE(shown->find("error")->string()->empty());
    EXPECT_FALSE(shown->find("remedy")->string()->empty());
    EXPECT_THAT(outcome.err, HasSubstr("->"));
  }
}

using CliDeathTest = TestAgent;

TEST_F(CliDeathTest, WhoIsNotRootIsToldToBe) {
  ASSERT_EQ(::geteuid(), 0U) << "needs root";
  const std::string config = directory + "/agent.json";
  std::ofstream(config) << "{}";  // in a folder of mode 0700
  for (const std::string option : {"--config", "--socket"}) {
    EXPECT_EXIT(
        {
          const Outcome outcome = ::setresuid(65534, 65534, 65534) == 0 ? call({"status", option, config}) : Outcome{};
          std::fputs(outcome.err.c_str(), stderr);
          std::exit(outcome.code);
        },
        testing::ExitedWithCode(kExitCannotTell), "run it as root")
        << option;
  }
}

TEST_F(Cli, AnAgentWhoseSocketFileIsGoneIsNotCalledStopped) {
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_GE(listener.get(), 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  const std::string path = socket + "-gone";
  path.copy(at.sun_path, sizeof(at.sun_path) - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  Outcome outcome = call({"status", "--socket", path});
  EXPECT_EQ(outcome.code, kExitCannotTell);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("an agent runs, and the file of its control socket " + path),
                                 HasSubstr("restart msp-agent")));
  listener = Fd();
  outcome = call({"status", "--socket", path});
  EXPECT_THAT(outcome.err, HasSubstr("the agent is not running"));
}

TEST_F(Cli, AgentThatDoesNotRunIsSaidSo) {
  Outcome outcome = call({"status", "--socket", socket});
  EXPECT_EQ(outcome.code, kExitCannotTell);
  EXPECT_THAT(outcome.err, HasSubstr("the agent is not running"));
  EXPECT_THAT(outcome.err, HasSubstr("->"));
  outcome = call({"status", "--json", "--socket", socket});
  EXPECT_EQ(outcome.code, kExitCannotTell);
  const auto shown = json::parse(outcome.out);
  ASSERT_TRUE(shown.ok()) << outcome.out;
  EXPECT_TRUE(shown->find("protected")->is_null());
}

TEST_F(Cli, TheSocketOfAnAgentIsToldFromThatOfAHost) {
  serve(status::example_snapshot());
  const std::string model = directory + "/vm.json";
  std::ofstream(model) << R"({"name":"a"})";
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"vm", "list"}, {"vm", "apply", model}, {"key", "reset", "a"}}) {
    std::vector<std::string> arguments = words;
    arguments.insert(arguments.end(), {"--socket", socket});
    const Outcome outcome = call(arguments);
    EXPECT_EQ(outcome.code, kExitCannotTell);
    EXPECT_THAT(outcome.err, HasSubstr(socket + " is the control socket of msp-agent")) << words[1];
    EXPECT_THAT(outcome.err, HasSubstr("\n  -> name the host's with --socket")) << words[1];
  }
}

/// Takes what is sent and goes away without an answer, as a host that is killed; returns how often it was asked.
int asked_in_vain(const std::string& path, std::vector<std::string> arguments) {
  auto listener = listen_unix(path, "msp-host");
  EXPECT_TRUE(listener.ok());
  ::fcntl(listener->get(), F_SETFL, 0);  // its accept() waits here
  std::atomic<int> asked = 0;
  std::thread host([&] {
    for (int socket = -1; (socket = ::accept(listener->get(), nullptr, nullptr)) >= 0;) {
      const Fd connection(socket);
      char buffer[4096];
      asked += ::recv(socket, buffer, sizeof(buffer), 0) > 0 ? 1 : 0;
    }
  });
  arguments.insert(arguments.end(), {"--wait", "1", "--socket", path});
  EXPECT_EQ(call(arguments).code, kExitCannotTell);
  ::shutdown(listener->get(), SHUT_RDWR);
  host.join();
  ::unlink(path.c_str());
  return asked;
}

TEST_F(Cli, OnlyWhatReadsIsSentAgainToAHostThatWentAway) {
  EXPECT_GT(asked_in_vain(directory + "/host.sock", {"vm", "list"}), 1);
  EXPECT_EQ(asked_in_vain(directory + "/host.sock", {"key", "reset", "a"}), 1);
  EXPECT_EQ(asked_in_vain(directory + "/host.sock", {"vm", "delete", "a"}), 1);
}

TEST_F(Cli, TheConfigurationOfTheOtherProgramIsToldSo) {
  const std::string config = directory + "/config.json";
  const auto write = [&](const char* text) {
    std::ofstream(config) << text;
    std::filesystem::permissions(config, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  };
  write(R"({"latchKeyFolder":"/k"})");
  const Outcome host = call({"vm", "list", "--config", config});
  EXPECT_EQ(host.code, kExitCannotTell);
  EXPECT_THAT(host.err, HasSubstr("this is a configuration of msp-agent: name that of msp-host with --config"));
  write(R"({"listeners":[]})");
  const Outcome agent = call({"status", "--config", config});
  EXPECT_EQ(agent.code, kExitCannotTell);
  EXPECT_THAT(agent.err,
              HasSubstr("is a configuration of msp-host, not of msp-agent\n  -> name the agent's with --config"));
}

std::string view_of(const status::Snapshot& snapshot) {
  return status_view(*json::parse(status::status_json(snapshot)));
}

TEST(StatusView, EachRefusalHasTheIdThatTheClientSaw) {
  EXPECT_THAT(view_of(status::example_snapshot()), HasSubstr("403 not_elevated\n"));
  EXPECT_THAT(view_of(status::example_snapshot()), HasSubstr("    request 5b1e4d578a90-00000000002a\n"));
  EXPECT_THAT(view_of(status::example_snapshot()), Not(HasSubstr("REFUSED BY THE HOST")));
}

TEST(StatusView, WhatTheHostRefusedIsToldBesideTheRest) {
  status::Snapshot snapshot = status::example_snapshot();
  snapshot.outcomes.emplace_back("host_refused", 7);
  snapshot.last_host_refusals = snapshot.last_refusals;
  snapshot.last_host_refusals[0].host_code = "stale_date";
  snapshot.last_host_refusals[0].host_request_id = "ab-1";
  snapshot.last_host_refusals[0].status = 401;
  const std::string view = view_of(snapshot);
  EXPECT_THAT(view, HasSubstr("REFUSED BY THE HOST, of what rules here let pass: 7 since start\n"));
  EXPECT_THAT(view, HasSubstr("  401 stale_date, request ab-1 of the host\n"));
  snapshot.last_host_refusals[0].host_code.clear();
  EXPECT_THAT(view_of(snapshot), HasSubstr("  401 without a code"));
}

TEST(StatusView, AHostThatAnswersIsNotCalledSilent) {
  status::Snapshot snapshot = status::example_snapshot();
  snapshot.channel.host_answers = false;
  EXPECT_THAT(view_of(snapshot), HasSubstr("host           DOES NOT ANSWER\n"));
  snapshot.channel.host_status = 403;
  EXPECT_THAT(view_of(snapshot), HasSubstr("host           ANSWERS 403 TO THE POLL\n"));
  snapshot.channel.host_code = "unknown_caller";
  EXPECT_THAT(view_of(snapshot), HasSubstr("host           ANSWERS 403 (unknown_caller) TO THE POLL\n"));
  snapshot.channel.host_status = 0;
  snapshot.channel.host_code = "status_unsigned";
  EXPECT_THAT(view_of(snapshot), HasSubstr("host           ANSWERS, AND IS NOT BELIEVED (status_unsigned)\n"));
  snapshot.channel.host_code = "status_uncheckable";
  EXPECT_THAT(view_of(snapshot), HasSubstr("host           NOT ASKED"));
}

TEST_F(Cli, TextOfClientsCannotSteerTheTerminal) {
  status::Snapshot snapshot = status::example_snapshot();
  snapshot.last_refusals[0].target = "/\x1b[2J\r\nPROTECTED";
  const auto value = json::parse(status::status_json(snapshot));
  const std::string view = status_view(*value);
  EXPECT_THAT(view, Not(HasSubstr("\x1b")));
  EXPECT_THAT(view, Not(HasSubstr("\r")));
  EXPECT_THAT(view, Not(HasSubstr("\nPROTECTED\n")));
}

TEST_F(Cli, ViewOfAnythingIsAView) {
  for (const std::string_view text : {"{}", "[]", "null", R"({"problems":7,"lastRefusals":[1,null],"services":{}})"}) {
    const auto value = json::parse(text);
    EXPECT_THAT(status_view(*value), HasSubstr("NOT FULLY PROTECTED"));
  }
}

}  // namespace
}  // namespace msp::cli
