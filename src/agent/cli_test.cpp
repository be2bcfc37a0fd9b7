// SPDX-License-Identifier: Apache-2.0
#include "agent/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/version.h"

namespace msp::agent {
namespace {

int run_as_nobody(std::string config) {
  if (::setresuid(65534, 65534, 65534) != 0) {
    return 77;
  }
  std::string program = "msp-agent";
  std::string option = "--config";
  std::array<char*, 4> arguments{program.data(), option.data(), config.data(), nullptr};
  return run_cli(3, arguments.data());
}

TEST(CliDeathTest, WhoIsNotRootIsToldToBe) {
  ASSERT_EQ(::geteuid(), 0U) << "needs root";
  std::string directory = testing::TempDir() + "agent_cli_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string config = directory + "/agent.json";
  std::ofstream(config) << "{";
  EXPECT_EXIT(std::exit(run_as_nobody(config)), testing::ExitedWithCode(2), "run as root");
  // Readable for all and at fault: being root would not help.
  ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(config.c_str(), 0644), 0);
  EXPECT_EXIT(std::exit(run_as_nobody(config)), testing::ExitedWithCode(2),
              testing::Not(testing::HasSubstr("as root")));
  std::filesystem::remove_all(directory);
}

int run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  return run_cli(static_cast<int>(words.size()), arguments.data());
}

TEST(Cli, WrongUsageEndsWithTwo) {
  EXPECT_EQ(run({"azure-proxy-agent", "--wait", "5"}), 2) << "--wait without --status";
  EXPECT_EQ(run({"azure-proxy-agent", "--status", "--wait"}), 2);
  EXPECT_EQ(run({"azure-proxy-agent", "--status", "--wait", "soon"}), 2);
  for (const char* seconds : {"-1", "", " 1", "1 ", "+", "0x1", "1_0", "1.0", "18446744073709551616"}) {
    EXPECT_EQ(run({"azure-proxy-agent", "--status", "--wait", seconds}), 2) << seconds;
  }
  EXPECT_EQ(run({"azure-proxy-agent", "--status", "--status"}), 2);
  EXPECT_EQ(run({"azure-proxy-agent", "-ss"}), 2);
  EXPECT_EQ(run({"azure-proxy-agent", "--status", "-w", "0", "-w", "0"}), 2);
  EXPECT_EQ(run({"azure-proxy-agent", "--no-such-option"}), 2);
  EXPECT_EQ(run({"azure-proxy-agent", "no-such-command"}), 2);
  EXPECT_EQ(run({"azure-proxy-agent", "console", "--status"}), 2);
  for (const char* flag : {"--status=false", "--status=true", "--status=0", "-s=false", "--check-config=false",
                           "--help=1", "--version=true", "--version=false"}) {
    EXPECT_EQ(run({"azure-proxy-agent", "--config", "/none", flag}), 2) << flag;
    EXPECT_EQ(run({"msp-agent", flag, "console"}), 2) << flag;
  }
  EXPECT_EQ(run({"msp-agent", "check-machine", "--json=false"}), 2);
  EXPECT_EQ(run({"msp-agent", "setup", "uninstall", "package", "--with-state=false"}), 2);
}

TEST(Cli, TheConfigurationIsNamedBeforeOrAfterASubcommand) {
  std::string root = testing::TempDir() + "agent_cli_XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  using Words = std::vector<std::string>;
  const Words setup{"setup", "--root", root, "uninstall", "package", "--with-state"};
  for (const auto& [verb, code] : {std::pair(Words{"uninstall"}, 2), std::pair(Words{"console"}, 2),
                                   std::pair(Words{"check-hooks"}, 2), std::pair(setup, 0)}) {
    const auto with = [&](const Words& before, const Words& after) {
      Words words{"msp-agent"};
      for (const Words& part : {before, verb, after}) {
        words.insert(words.end(), part.begin(), part.end());
      }
      testing::internal::CaptureStderr();
      const int ended = run(words);
      return std::pair(ended, testing::internal::GetCapturedStderr());
    };
    const auto refused = testing::Pair(code, testing::HasSubstr("configuration: opening /none"));
    EXPECT_THAT(with({"--config", "/none"}, {}), refused) << verb.front();
    EXPECT_THAT(with({}, {"--config", "/none"}), refused) << verb.front();
    EXPECT_THAT(with({}, {"--config=/none"}), refused) << verb.front();
    EXPECT_THAT(with({"--config", "/none"}, {"--config", "/none"}),
                testing::Pair(2, testing::HasSubstr("--config is given twice")));
    EXPECT_EQ(with({}, {"--config"}).first, 2);
    EXPECT_EQ(with({}, {"--status"}).first, 2) << "no other option stands there";
  }
  std::filesystem::remove_all(root);
}

TEST(Cli, VersionIsThatAlone) {
  for (const char* option : {"-v", "--version"}) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(run({"/usr/sbin/azure-proxy-agent", option}), 0);
    EXPECT_EQ(testing::internal::GetCapturedStdout(), std::string(version()) + "\n");
  }
}

TEST(Cli, TheFieldsOtherSpellingsAreTaken) {
  testing::internal::CaptureStdout();
  EXPECT_EQ(run({"azure-proxy-agent", "help"}), 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), testing::HasSubstr("Usage: azure-proxy-agent"));
}

TEST(Cli, HelpSpeaksOfTheNameThatWasCalled) {
  for (const auto& [called, shown] :
       {std::pair("/usr/sbin/azure-proxy-agent", "Usage: azure-proxy-agent"),
        std::pair("./msp-agent", "Usage: msp-agent"), std::pair("x", "Usage: msp-agent")}) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(run({called, "--help"}), 0);
    EXPECT_THAT(testing::internal::GetCapturedStdout(), testing::HasSubstr(shown));
  }
}

TEST(Cli, StatusAsksWhereTheConfigurationSays) {
  std::string directory = testing::TempDir() + "agent_cli_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string config = directory + "/agent.json";
  std::ofstream(config) << R"({"logFolder":"","eventFolder":"","latchKeyFolder":"/k","monitorIntervalInSeconds":60,
      "pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":"","openmsp":{"listen":"127.0.0.2:9"}})";
  ASSERT_EQ(::chmod(config.c_str(), 0644), 0);
  testing::internal::CaptureStdout();
  EXPECT_EQ(run({"azure-proxy-agent", "--status", "--config", config}), 1);
  EXPECT_THAT(
      testing::internal::GetCapturedStdout(),
      testing::StartsWith("Failed to query the current provision state with error: cannot connect to 127.0.0.2:9"));
  for (const char* asked : {"-sw=0", "-sw0", "-sw+0", "--status"}) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(run({"azure-proxy-agent", asked, "--config", config}), 1) << asked;
    EXPECT_EQ(run({"azure-proxy-agent", "--config", config, "-s", "-w=0"}), 1);
    testing::internal::GetCapturedStdout();
  }
  std::ofstream(config) << "{";
  EXPECT_EQ(run({"azure-proxy-agent", "--status", "--config", config}), 2) << "named, and of no use";
  std::filesystem::remove_all(directory);
}

TEST(Cli, WhoMayNotServeIsRefusedByTheCheck) {
  std::string directory = testing::TempDir() + "agent_cli_XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::string config = directory + "/agent.json";
  for (const auto& [user, code, says] :
       {std::tuple("root", 2, "must not be root"), std::tuple("no-such-user", 2, "there is no user 'no-such-user'"),
        std::tuple("nobody", 0, "")}) {
    std::ofstream(config, std::ios::trunc)
        << R"({"logFolder":"","eventFolder":"","latchKeyFolder":"/k","monitorIntervalInSeconds":60,
      "pollKeyStatusIntervalInSeconds":15,"ebpfProgramName":"","openmsp":{"workerUser":")"
        << user << R"("}})";
    ASSERT_EQ(::chmod(config.c_str(), 0644), 0);
    testing::internal::CaptureStderr();
    EXPECT_EQ(run({"msp-agent", "--config", config, "--check-config"}), code) << user;
    EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr(says));
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace msp::agent
