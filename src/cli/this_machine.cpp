// SPDX-License-Identifier: Apache-2.0
#include "cli/this_machine.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

namespace msp::cli {

// One thread: the functions with static buffers will do.
bool ThisMachine::has_user(const std::string& name) {
  return ::getpwnam(name.c_str()) != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

bool ThisMachine::has_group(const std::string& name) {
  return ::getgrnam(name.c_str()) != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

authoring::Machine::Program ThisMachine::program(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path found = std::filesystem::canonical(path, failed);
  if (failed) {
    return Program::kMissing;
  }
  if (!std::filesystem::is_regular_file(found, failed) || ::access(found.c_str(), X_OK) != 0) {
    return Program::kNotRunnable;
  }
  return found == std::filesystem::path(path).lexically_normal() ? Program::kFound : Program::kLink;
}

}  // namespace msp::cli
