// SPDX-License-Identifier: Apache-2.0
#include "authoring/identity_checks.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "policy/exe_path.h"

namespace msp::authoring {
namespace {

Check user_check(const std::string& wanted, const identity::ConnectionIdentity& caller, bool deny) {
  const std::string& name = caller.user_name;
  const bool fits = name.empty() ? deny : name == wanted && wanted != "undefined";
  return {.what = "userName",
          .wanted = wanted == "undefined" ? "undefined (which is nobody's name)" : wanted,
          .found = name.empty() ? "a user without name" : name,
          .met = fits};
}

Check group_check(const std::string& wanted, const identity::ConnectionIdentity& caller, bool deny) {
  const bool all_known = !caller.more_groups && caller.group_names.size() >= caller.groups.size();
  const bool has = std::ranges::find(caller.group_names, wanted) != caller.group_names.end();
  std::string found = caller.group_names.empty() ? "no groups" : fmt::format("{}", fmt::join(caller.group_names, ", "));
  found += all_known ? "" : ", and groups without name";
  return {.what = "groupName", .wanted = wanted, .found = std::move(found), .met = has || (deny && !all_known)};
}

Check exe_check(const std::string& wanted, const identity::ConnectionIdentity& caller) {
  const bool met = std::ranges::any_of(caller.exe_rule_paths,
                                       [&](const std::string& path) { return policy::same_components(path, wanted); });
  std::string found = caller.exe_path.empty() ? "an unknown executable" : caller.exe_path;
  if (!met && policy::same_components(caller.exe_path, wanted)) {
    // A mount of the process' own, or the file was replaced while it ran.
    found += ", which is another file than the one that the rule names";
  }
  return {.what = "exePath", .wanted = wanted, .found = std::move(found), .met = met};
}

void add_place_checks(const IdentityExtension& wanted, const identity::ConnectionIdentity& caller, bool deny,
                      std::vector<Check>& out) {
  const identity::CgroupPlace* const place = caller.cgroup.get();
  const auto add = [&](std::string_view what, const std::optional<std::string>& value, const std::string* found,
                       auto fits) {
    if (value) {
      out.push_back({.what = std::string(what),
                     .wanted = *value,
                     .found = found == nullptr ? "an unknown cgroup"
                              : found->empty() ? fmt::format("no {}", what)
                                               : *found,
                     .met = found == nullptr ? deny : fits(*found, *value)});
    }
  };
  add("unit", wanted.unit, place == nullptr ? nullptr : &place->unit, std::equal_to<>());
  add("cgroup", wanted.cgroup, place == nullptr ? nullptr : &place->path, identity::is_at_or_below);
  add("container", wanted.container, place == nullptr ? nullptr : &place->container,
      [](const std::string& has, const std::string& begins) { return !has.empty() && has.starts_with(begins); });
}

}  // namespace

std::vector<Check> compare_identity(const RuleIdentity& identity, const identity::ConnectionIdentity& caller,
                                    bool deny) {
  std::vector<Check> out;
  if (identity.user_name) {
    out.push_back(user_check(*identity.user_name, caller, deny));
  }
  if (identity.group_name) {
    out.push_back(group_check(*identity.group_name, caller, deny));
  }
  if (identity.process_name) {
    out.push_back({.what = "processName",
                   .wanted = *identity.process_name,
                   .found = caller.process_name.empty() ? "no name" : caller.process_name,
                   .met = *identity.process_name == caller.process_name});
  }
  if (identity.exe_path) {
    out.push_back(exe_check(*identity.exe_path, caller));
  }
  add_place_checks(identity.openmsp, caller, deny, out);
  return out;
}

}  // namespace msp::authoring
