// SPDX-License-Identifier: Apache-2.0
#include "policy/identity_match.h"

#include <algorithm>

#include "policy/exe_path.h"

namespace msp::policy {
namespace {

/// What the field writes for a uid without passwd entry; a rule must not mean all of those (protocol.md L.32).
constexpr std::string_view kNoName = "undefined";

bool user_fits(const std::string& user, const identity::ConnectionIdentity& caller) {
  return user == caller.user_name && !user.empty() && user != kNoName;
}

bool group_fits(const std::string& group, const identity::ConnectionIdentity& caller) {
  return std::ranges::find(caller.group_names, group) != caller.group_names.end();
}

bool exe_fits(const std::string& exe, const identity::ConnectionIdentity& caller) {
  return std::ranges::any_of(caller.exe_rule_paths, [&](const auto& path) { return same_components(exe, path); });
}

/// The first field of the place that does not fit; empty if all do.
std::string_view missed_place(const PlaceRule& rule, const identity::CgroupPlace& place) {
  if (rule.unit && *rule.unit != place.unit) {
    return "unit";
  }
  if (rule.cgroup && !identity::is_at_or_below(place.path, *rule.cgroup)) {
    return "cgroup";
  }
  if (rule.container && (place.container.empty() || !place.container.starts_with(*rule.container))) {
    return "container";
  }
  return {};
}

bool knows_all_groups(const identity::ConnectionIdentity& caller) {
  return !caller.more_groups && caller.group_names.size() >= caller.groups.size();
}

}  // namespace

IdentityMatch match_identity(const IdentityRule& rule, const identity::ConnectionIdentity& caller) {
  // Cheap questions first, and no further one after a miss: most identities are somebody else's.
  int met = 0;
  if (rule.user) {
    if (!user_fits(*rule.user, caller)) {
      return {.matched = false, .fields_met = met, .missed_field = "userName"};
    }
    ++met;
  }
  if (rule.process) {
    if (*rule.process != caller.process_name) {
      return {.matched = false, .fields_met = met, .missed_field = "processName"};
    }
    ++met;
  }
  if (rule.group) {
    if (!group_fits(*rule.group, caller)) {
      return {.matched = false, .fields_met = met, .missed_field = "groupName"};
    }
    ++met;
  }
  if (rule.exe) {
    if (!exe_fits(*rule.exe, caller)) {
      return {.matched = false, .fields_met = met, .missed_field = "exePath"};
    }
    ++met;
  }
  if (rule.place) {
    static const identity::CgroupPlace kUnknown;
    if (const auto missed = missed_place(*rule.place, caller.cgroup ? *caller.cgroup : kUnknown); !missed.empty()) {
      return {.matched = false, .fields_met = met, .missed_field = missed};
    }
    ++met;
  }
  return {.matched = true, .fields_met = met, .missed_field = {}};
}

UnknownFields unknown_fields(const identity::ConnectionIdentity& caller) {
  return static_cast<UnknownFields>((caller.user_name.empty() ? kUnknownUser : 0U) |
                                    (knows_all_groups(caller) ? 0U : kUnknownGroups) |
                                    (caller.cgroup ? 0U : kUnknownPlace));
}

bool may_be(const IdentityRule& rule, const identity::ConnectionIdentity& caller) {
  return (!rule.user || caller.user_name.empty() || user_fits(*rule.user, caller)) &&
         (!rule.process || *rule.process == caller.process_name) &&
         (!rule.group || !knows_all_groups(caller) || group_fits(*rule.group, caller)) &&
         (!rule.exe || exe_fits(*rule.exe, caller)) &&
         (!rule.place || !caller.cgroup || missed_place(*rule.place, *caller.cgroup).empty());
}

}  // namespace msp::policy
