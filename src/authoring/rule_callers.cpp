// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_callers.h"

#include <fmt/core.h>

#include <optional>

#include "identity/cgroup_place.h"
#include "policy/exe_path.h"

namespace msp::authoring {
namespace {

bool same(const std::optional<std::string>& broad, const std::optional<std::string>& narrow) {
  return !broad || (narrow && *broad == *narrow);
}

/// Who is in the narrow one is in the broad one, too.
bool within(const std::optional<std::string>& broad, const std::optional<std::string>& narrow,
            bool (*is_within)(std::string_view, std::string_view)) {
  return !broad || (narrow && is_within(*narrow, *broad));
}

bool has_digits(std::string_view id, std::string_view first) { return id.starts_with(first); }

void append(std::string& out, std::string_view what, const std::optional<std::string>& value) {
  if (value) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", what, *value);
  }
}

void tell(std::string& out, bool is_so, std::string_view what) {
  if (is_so) {
    out += fmt::format("{}{}", out.empty() ? "" : ", ", what);
  }
}

std::optional<std::string> said(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

/// Takes what only one of two says; false if they contradict each other.
bool same_or_one(std::string& to, const std::string& from) {
  if (to.empty()) {
    to = from;
  }
  return from.empty() || to == from;
}

bool merge_exe(std::string& to, const std::string& from) {
  return same_or_one(to, from) || policy::same_components(to, from);
}

/// Of two that may be one within the other the inner one.
bool narrowed(std::string& to, const std::string& from, bool (*is_within)(std::string_view, std::string_view)) {
  if (same_or_one(to, from) || is_within(to, from)) {
    return true;
  }
  if (!is_within(from, to)) {
    return false;
  }
  to = from;
  return true;
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
  out.unit = identity.openmsp.unit.value_or("");
  out.cgroup = identity.openmsp.cgroup.value_or("");
  out.container = identity.openmsp.container.value_or("");
  return out;
}

std::optional<Caller> both(const Caller& a, const Caller& b) {
  Caller out = a;
  out.groups.insert(out.groups.end(), b.groups.begin(), b.groups.end());
  // An executable and the name of a process never exclude each other: the agent follows links from a rule's path to the
  // file, and the process has the file's own name.
  const bool possible = same_or_one(out.user, b.user) && merge_exe(out.exe, b.exe) &&
                        same_or_one(out.process, b.process) && same_or_one(out.unit, b.unit) &&
                        narrowed(out.cgroup, b.cgroup, identity::is_at_or_below) &&
                        narrowed(out.container, b.container, has_digits);
  return possible ? std::optional(std::move(out)) : std::nullopt;
}

bool covers(const RuleIdentity& broad, const RuleIdentity& narrow) {
  const bool exe = !broad.exe_path || (narrow.exe_path && policy::same_components(*broad.exe_path, *narrow.exe_path));
  return same(broad.user_name, narrow.user_name) && same(broad.group_name, narrow.group_name) && exe &&
         same(broad.process_name, narrow.process_name) && same(broad.openmsp.unit, narrow.openmsp.unit) &&
         within(broad.openmsp.cgroup, narrow.openmsp.cgroup, identity::is_at_or_below) &&
         within(broad.openmsp.container, narrow.openmsp.container, has_digits);
}

std::string describe(const RuleIdentity& identity) {
  std::string out;
  append(out, "user", identity.user_name);
  append(out, "group", identity.group_name);
  append(out, "executable", identity.exe_path);
  append(out, "process", identity.process_name);
  append(out, "unit", identity.openmsp.unit);
  append(out, "cgroup", identity.openmsp.cgroup);
  append(out, "container", identity.openmsp.container);
  return out.empty() ? "everybody" : out;
}

std::string describe(const Caller& caller) {
  std::string out;
  append(out, "user", said(caller.user));
  tell(out, caller.unnamed, "a user without a name");
  if (caller.uid) {
    out += fmt::format("{}uid {}", out.empty() ? "" : ", ", *caller.uid);
  }
  for (const std::string& group : caller.groups) {
    append(out, "group", group);
  }
  tell(out, caller.more_groups, "groups that are not known");
  append(out, "executable", said(caller.exe));
  // The agent looks for the file at the path, and calls the process by the file's own name.
  tell(out, !caller.exe.empty() && !caller.process.empty() && base_name(caller.exe) != caller.process, "a link");
  append(out, "process", said(caller.process));
  append(out, "unit", said(caller.unit));
  append(out, "cgroup", said(caller.cgroup));
  append(out, "container", said(caller.container));
  tell(out, caller.place_unknown, "a cgroup that is gone");
  return out.empty() ? "somebody that no rule names" : out;
}

std::string_view base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  return path.substr(path.rfind('/') + 1);
}

}  // namespace msp::authoring
