// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace msp {
namespace {

/// Resident pages of files, in KB.
long resident_file_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) {
      return std::stol(line.substr(8));
    }
  }
  return -1;
}

TEST(Process, WhatStartingUpReadIsGivenBackAndComesBackWhenNeeded) {
  const long before = resident_file_kb();
  release_startup_memory();
  const long after = resident_file_kb();
  ASSERT_GT(before, 0);
  EXPECT_LT(after, before / 2) << "of " << before << " KB";
}

/// How a child ends that sets itself up and then aborts, in a directory of its own; true: the kernel has dumped it.
bool dumps_core(void (*set_up)()) {
  std::string directory = "/tmp/msp-core-XXXXXX";
  EXPECT_NE(::mkdtemp(directory.data()), nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGABRT, SIG_DFL);
    if (::chdir(directory.c_str()) == 0) {
      set_up();
      ::kill(::getpid(), SIGABRT);
    }
    ::_exit(1);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  std::filesystem::remove_all(directory);
  return WIFSIGNALED(status) && WCOREDUMP(status);
}

// The soft limit is 0 on many machines: without raising it nothing dumps, and nothing is shown.
void raise_limit() {
  rlimit core{};
  ::getrlimit(RLIMIT_CORE, &core);
  core.rlim_cur = core.rlim_max;
  ::setrlimit(RLIMIT_CORE, &core);
}

TEST(Process, HardenedItLeavesNoCoreAndItsTwinDoes) {
  EXPECT_TRUE(dumps_core(raise_limit)) << "the control: without a dump here the rest shows nothing";
  EXPECT_FALSE(dumps_core([] {
    raise_limit();
    if (!harden_process().ok()) {
      raise_limit();
    }
  }));
}

}  // namespace
}  // namespace msp
