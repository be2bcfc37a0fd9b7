// SPDX-License-Identifier: Apache-2.0
#include "cli/this_machine.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>

namespace msp::cli {
namespace {

namespace fs = std::filesystem;

/// In systemd's order; the first file of a name counts. The last but two are what it made at boot.
constexpr std::array kUnitFolders{
    "/etc/systemd/system",           "/run/systemd/system",          "/run/systemd/transient",
    "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",      "/lib/systemd/system",
    "/run/systemd/generator",        "/run/systemd/generator.early", "/run/systemd/generator.late"};
/// Aliases of aliases; a loop of links ends here.
constexpr int kMostAliases = 8;

bool is_script(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::array<char, 2> begin{};
  return file.read(begin.data(), begin.size()) && begin[0] == '#' && begin[1] == '!';
}

/// "a@.service" of "a@b.service"; empty: it is no instance.
std::string template_of(const std::string& unit) {
  const std::size_t at = unit.find('@');
  const std::size_t dot = unit.rfind('.');
  return at == std::string::npos || dot == std::string::npos || dot <= at + 1
             ? std::string()
             : unit.substr(0, at + 1) + unit.substr(dot);
}

/// "c@b.service": the instance of a template that another one's takes part in.
std::string instance_of(const std::string& name, const std::string& unit) {
  const std::size_t at = name.find('@');
  const std::size_t own = unit.find('@');
  return name.substr(0, at + 1) + unit.substr(own + 1, unit.rfind('.') - own - 1) + name.substr(at + 1);
}

std::optional<fs::path> unit_file(const std::string& root, const std::string& name) {
  for (const std::string_view folder : kUnitFolders) {
    fs::path path = fs::path(root + std::string(folder)) / name;
    std::error_code failed;
    if (fs::exists(fs::symlink_status(path, failed))) {
      return path;
    }
  }
  return std::nullopt;
}

/// What a unit's file says it is called: its own name, another one, or nothing if it is masked.
std::string name_in(const fs::path& file, const std::string& name) {
  std::error_code failed;
  if (!fs::is_symlink(fs::symlink_status(file, failed))) {
    return name;
  }
  const fs::path target = fs::read_symlink(file, failed);
  return failed || target == "/dev/null" ? std::string() : target.filename().string();
}

}  // namespace

// One thread: the functions with static buffers will do.
bool ThisMachine::has_user(const std::string& name) {
  return ::getpwnam(name.c_str()) != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

bool ThisMachine::has_group(const std::string& name) {
  return ::getgrnam(name.c_str()) != nullptr;  // NOLINT(concurrency-mt-unsafe)
}

authoring::Machine::Program ThisMachine::program(const std::string& path) {
  std::error_code failed;
  const fs::path found = fs::canonical(path, failed);
  if (failed) {
    return Program::kMissing;
  }
  if (!fs::is_regular_file(found, failed) || ::access(found.c_str(), X_OK) != 0) {
    return Program::kNotRunnable;
  }
  if (is_script(found)) {
    return Program::kScript;
  }
  return found == fs::path(path).lexically_normal() ? Program::kFound : Program::kLink;
}

authoring::Machine::Unit ThisMachine::unit(const std::string& name) {
  std::string unit = name;
  for (int i = 0; i < kMostAliases; ++i) {
    const std::string pattern = template_of(unit);
    std::string looked_for = unit;
    std::optional<fs::path> file = unit_file(root_, unit);
    if (!file && !pattern.empty()) {
      looked_for = pattern;
      file = unit_file(root_, pattern);
    }
    const std::string called = file ? name_in(*file, looked_for) : std::string();
    if (called.empty()) {
      return {};
    }
    if (called == looked_for || called == pattern) {
      return {.found = true, .name = unit};
    }
    unit = looked_for == pattern && called.contains('@') ? instance_of(called, unit) : called;
  }
  return {};
}

}  // namespace msp::cli
