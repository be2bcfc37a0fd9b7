// SPDX-License-Identifier: Apache-2.0
// A folder of files for one test, and mspctl run on them as a person would.
// Owned by one test; removed with it.
// A file that cannot be written fails the test.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/cli.h"

namespace msp::cli {

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class TestFiles : public testing::Test {
 protected:
  TestFiles() {
    std::string name = "/tmp/msp-cli-XXXXXX";
    const char* const made = ::mkdtemp(name.data());
    EXPECT_NE(made, nullptr);
    directory_ = made == nullptr ? "." : made;
  }
  ~TestFiles() override { std::filesystem::remove_all(directory_); }

  std::string write(const std::string& name, std::string_view text) const {
    std::ofstream file(path(name), std::ios::binary);
    file << text;
    EXPECT_TRUE(file.good());
    return path(name);
  }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  static Outcome policy(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "policy");
    std::ostringstream out;
    std::ostringstream err;
    const int code = run(arguments, out, err);
    return {.code = code, .out = out.str(), .err = err.str()};
  }

 private:
  std::string directory_;
};

}  // namespace msp::cli
