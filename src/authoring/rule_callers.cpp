// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_callers.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>

#include "policy/exe_path.h"

namespace msp::authoring {
namespace {

constexpr std::array<std::string_view, 30> kInterpreters{
    "ash",    "awk",  "bash",  "busybox", "csh",    "dash", "deno", "dotnet", "env",  "expect",
    "fish",   "gawk", "guile", "java",    "julia",  "ksh",  "lua",  "luajit", "mawk", "node",
    "nodejs", "perl", "php",   "pypy",    "python", "ruby", "sh",   "tclsh",  "wish", "zsh"};

bool same(const std::optional<std::string>& broad, const std::optional<std::string>& narrow) {
  return !broad || (narrow && *broad == *narrow);
}

void append(std::string& out, std::string_view what, const std::optional<std::string>& value) {
  if (value) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", what, *value);
  }
}

std::optional<std::string> said(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

bool has_parent_component(std::string_view path) {
  return path.ends_with("/..") || path.contains("/../") || path.starts_with("../") || path == "..";
}

}  // namespace

Caller caller_of(const RuleIdentity& identity) {
  Caller out;
  out.user = identity.user_name.value_or("");
  if (identity.group_name) {
    out.groups.push_back(*identity.group_name);
  }
  out.exe = identity.exe_path.value_or("");
  out.process = identity.process_name.value_or("");
  return out;
}

bool covers(const RuleIdentity& broad, const RuleIdentity& narrow) {
  const bool exe = !broad.exe_path || (narrow.exe_path && policy::same_components(*broad.exe_path, *narrow.exe_path));
  return same(broad.user_name, narrow.user_name) && same(broad.group_name, narrow.group_name) && exe &&
         same(broad.process_name, narrow.process_name);
}

std::string describe(const RuleIdentity& identity) {
  std::string out;
  append(out, "user", identity.user_name);
  append(out, "group", identity.group_name);
  append(out, "executable", identity.exe_path);
  append(out, "process", identity.process_name);
  return out.empty() ? "everybody" : out;
}

std::string describe(const Caller& caller) {
  std::string out;
  append(out, "user", said(caller.user));
  if (caller.uid) {
    out += fmt::format("{}uid {}", out.empty() ? "" : ", ", *caller.uid);
  }
  for (const std::string& group : caller.groups) {
    append(out, "group", group);
  }
  append(out, "executable", said(caller.exe));
  append(out, "process", said(caller.process));
  return out.empty() ? "somebody that no rule names" : out;
}

std::string_view base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  return path.substr(path.rfind('/') + 1);
}

std::string why_nobody(const RuleIdentity& identity) {
  if (identity.user_name && (identity.user_name->empty() || *identity.user_name == "undefined")) {
    return fmt::format("\"{}\" is not the name of a user", *identity.user_name);
  }
  if (identity.group_name && identity.group_name->empty()) {
    return "\"\" is not the name of a group";
  }
  if (identity.exe_path && (!identity.exe_path->starts_with('/') || has_parent_component(*identity.exe_path))) {
    return fmt::format("the path of an executable begins with '/' and holds no \"..\", unlike \"{}\"",
                       *identity.exe_path);
  }
  if (!identity.process_name) {
    return {};
  }
  if (identity.process_name->contains('/')) {
    return fmt::format("processName is the base name of the executable, and \"{}\" is a path", *identity.process_name);
  }
  if (identity.exe_path && base_name(*identity.exe_path) != *identity.process_name) {
    return fmt::format("processName is the base name of the executable, which for \"{}\" is not \"{}\"",
                       *identity.exe_path, *identity.process_name);
  }
  return {};
}

std::string_view interpreter(const RuleIdentity& identity) {
  std::string_view name = identity.exe_path ? base_name(*identity.exe_path) : std::string_view();
  if (name.empty() && identity.process_name) {
    name = *identity.process_name;
  }
  // python3.11, perl5.36.0, lua5.4
  const std::string_view bare = name.substr(0, name.find_last_not_of("0123456789.-") + 1);
  const auto* const found = std::ranges::find(kInterpreters, bare);
  return found == kInterpreters.end() ? std::string_view() : *found;
}

}  // namespace msp::authoring
