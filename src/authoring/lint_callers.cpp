// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint_callers.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "authoring/rule_callers.h"

namespace msp::authoring {
namespace {

constexpr std::array kInterpreters = std::to_array<std::string_view>(
    {"ash",    "awk",          "bash",   "beam.smp", "bun",     "busybox", "csh",    "dash",
     "deno",   "dotnet",       "env",    "erl",      "escript", "expect",  "fish",   "gawk",
     "gdb",    "guile",        "gst",    "irb",      "java",    "julia",   "ksh",    "lua",
     "luajit", "lldb",         "mawk",   "mksh",     "mono",    "nawk",    "node",   "nodejs",
     "octave", "original-awk", "perl",   "php",      "php-cgi", "php-fpm", "phpdbg", "platform-python",
     "pwsh",   "pypy",         "python", "R",        "racket",  "rbash",   "ruby",   "scala",
     "sh",     "swipl",        "tclsh",  "tcsh",     "wish",    "yash",    "zsh"});
/// Emulators of other processors, "qemu-ARCH": not the tools and machines that are named alike.
constexpr std::array<std::string_view, 22> kProcessors{
    "aarch64", "aarch64_be", "alpha",  "arm",      "armeb",   "hppa",  "i386",  "loongarch64",
    "m68k",    "mips",       "mips64", "mips64el", "mipsel",  "ppc",   "ppc64", "ppc64le",
    "riscv32", "riscv64",    "s390x",  "sparc",    "sparc64", "x86_64"};

/// ld-linux-x86-64.so.2, ld-musl-x86_64.so.1, ld.so: "ld.so /any/program" has it as executable.
bool is_loader(std::string_view name) {
  return name == "ld.so" || ((name.starts_with("ld-") || name.starts_with("ld64")) && name.contains(".so"));
}

bool is_emulator(std::string_view name) {
  constexpr std::string_view kPrefix = "qemu-";
  if (!name.starts_with(kPrefix)) {
    return false;
  }
  name.remove_prefix(kPrefix.size());
  if (name.ends_with("-static")) {
    name.remove_suffix(std::string_view("-static").size());
  }
  return std::ranges::find(kProcessors, name) != kProcessors.end();
}

bool has_parent_component(std::string_view path) {
  return path.ends_with("/..") || path.contains("/../") || path.starts_with("../") || path == "..";
}

/// What no process has as its executable, whatever is known of it. A path may well lead to a file of another name.
std::string why_no_program(const RuleIdentity& identity) {
  if (identity.exe_path && (!identity.exe_path->starts_with('/') || has_parent_component(*identity.exe_path))) {
    return fmt::format("the path of an executable begins with '/' and holds no \"..\", unlike \"{}\"",
                       *identity.exe_path);
  }
  if (identity.process_name && identity.process_name->contains('/')) {
    return fmt::format("processName is the base name of the executable, and \"{}\" is a path", *identity.process_name);
  }
  return {};
}

}  // namespace

std::string why_nobody(const RuleIdentity& identity) {
  if (identity.user_name && (identity.user_name->empty() || *identity.user_name == "undefined")) {
    return fmt::format("\"{}\" is not the name of a user", *identity.user_name);
  }
  if (identity.group_name && identity.group_name->empty()) {
    return "\"\" is not the name of a group";
  }
  return why_no_program(identity);
}

bool is_without_name(const RuleIdentity& identity) { return identity.process_name && identity.process_name->empty(); }

bool needs_link(const RuleIdentity& identity) {
  return identity.exe_path && identity.process_name && !is_without_name(identity) &&
         base_name(*identity.exe_path) != *identity.process_name;
}

std::string why_denies_nobody(const RuleIdentity& identity) { return why_no_program(identity); }

std::string_view interpreter(const RuleIdentity& identity) {
  std::string_view name = identity.exe_path ? base_name(*identity.exe_path) : std::string_view();
  if (name.empty() && identity.process_name) {
    name = *identity.process_name;
  }
  if (is_loader(name)) {
    return "ld.so";
  }
  if (is_emulator(name)) {
    return "qemu";
  }
  for (const std::string_view build : {"-dbg", "-debug", "-static"}) {
    name = name.ends_with(build) ? name.substr(0, name.size() - build.size()) : name;
  }
  // perl5.36-x86_64-linux-gnu
  for (const std::string_view processor : kProcessors) {
    const std::size_t at = name.rfind(processor);
    if (at != std::string_view::npos && at > 1 && (name[at - 1] == '-' || name[at - 1] == '.')) {
      name = name.substr(0, at - 1);
      break;
    }
  }
  // python3.11, perl5.36.0, lua5.4
  const std::string_view bare = name.substr(0, name.find_last_not_of("0123456789.-") + 1);
  const auto* const found = std::ranges::find(kInterpreters, bare);
  return found == kInterpreters.end() ? std::string_view() : *found;
}

}  // namespace msp::authoring
