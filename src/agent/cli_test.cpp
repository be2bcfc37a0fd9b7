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
  EXPECT_EXIT(std::exit(run_as_nobody(config)), testing::ExitedWithCode(1), "run as root");
  // Readable for all and at fault: being root would not help.
  ASSERT_EQ(::chmod(directory.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(config.c_str(), 0644), 0);
  EXPECT_EXIT(std::exit(run_as_nobody(config)), testing::ExitedWithCode(2),
              testing::Not(testing::HasSubstr("as root")));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace msp::agent
