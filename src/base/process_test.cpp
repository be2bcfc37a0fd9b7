// SPDX-License-Identifier: Apache-2.0
#include "base/process.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace msp
