// SPDX-License-Identifier: Apache-2.0
#include "policy/identity_match.h"

#include <algorithm>

#include "policy/exe_path.h"

namespace msp::policy {
namespace {

/// What the field writes for a uid without passwd entry; a rule must not mean all of those (protocol.md L.32).
constexpr std::string_view kNoName = "undefined";

bool user_fits(const std::string& user, const identity::ConnectionIdentity& caller) {
  return user != kNoName && !caller.user_name.empty() && user == caller.user_name;
}

bool group_fits(const std::string& group, const identity::ConnectionIdentity& caller) {
  return std::ranges::find(caller.group_names, group) != caller.group_names.end();
}

bool exe_fits(const std::string& exe, const identity::ConnectionIdentity& caller) {
  return std::ranges::any_of(caller.exe_rule_paths, [&](const auto& path) { return same_components(exe, path); });
}

}  // namespace

IdentityMatch match_identity(const IdentityRule& rule, const identity::ConnectionIdentity& caller) {
  IdentityMatch result;
  const auto field = [&result](bool present, bool fits, std::string_view name) {
    if (present && fits) {
      ++result.fields_met;
    } else if (present && result.missed_field.empty()) {
      result.missed_field = name;
    }
  };
  field(rule.user.has_value(), rule.user && user_fits(*rule.user, caller), "userName");
  field(rule.group.has_value(), rule.group && group_fits(*rule.group, caller), "groupName");
  field(rule.process.has_value(), rule.process && *rule.process == caller.process_name, "processName");
  field(rule.exe.has_value(), rule.exe && exe_fits(*rule.exe, caller), "exePath");
  result.matched = result.missed_field.empty();
  return result;
}

}  // namespace msp::policy
