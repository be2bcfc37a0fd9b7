// SPDX-License-Identifier: Apache-2.0
#include "authoring/diff_callers.h"

#include <algorithm>
#include <utility>

#include "authoring/lint_callers.h"
#include "authoring/rule_callers.h"
#include "identity/cgroup_place.h"

namespace msp::authoring {
namespace {

bool has_place(const Caller& caller) {
  return !caller.unit.empty() || !caller.cgroup.empty() || !caller.container.empty();
}

/// A cgroup says unit and container itself, unless it is above both.
bool is_one_place(const Caller& caller) {
  if (caller.cgroup.empty()) {
    return true;
  }
  const identity::CgroupPlace place = identity::place_in(caller.cgroup);
  const bool unit = caller.unit.empty() || place.unit.empty() || caller.unit == place.unit;
  return unit && (caller.container.empty() || place.container.empty() || place.container.starts_with(caller.container));
}

/// As the kernel writes it.
std::string plain_path(std::string_view path) {
  std::string out;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view component = path.substr(0, path.find('/'));
    if (!component.empty() && component != ".") {
      out += '/';
      out += component;
    }
    path.remove_prefix(component.size());
  }
  return out;
}

Caller tidied(Caller caller) {
  caller.exe = plain_path(caller.exe);
  if (caller.process == base_name(caller.exe)) {
    caller.process.clear();
  }
  return caller;
}

}  // namespace

std::size_t fields_of(const Caller& caller) {
  const auto one = [](bool there) { return static_cast<std::size_t>(there); };
  return caller.groups.size() + one(!caller.exe.empty()) + one(!caller.process.empty()) + one(!caller.unit.empty()) +
         one(!caller.cgroup.empty()) + one(!caller.container.empty()) + one(caller.unnamed) + one(caller.more_groups) +
         one(caller.place_unknown);
}

DiffCallers::DiffCallers(Service service, const CallerTable& table)
    : service_(service), identities_(table.identities()) {
  name_nobody();
  nobody_ = known(Caller());
  for (const RuleIdentity* const identity : identities_) {
    const bool named = !identity->user_name || can_be_user(*identity->user_name);
    allowed_.push_back(named ? known(caller_of(*identity)) : List());
    denied_.push_back(known(denied_among({}, *identity)));
  }
}

DiffCallers::List DiffCallers::both(std::uint32_t allow, std::uint32_t deny) const {
  const RuleIdentity& one = *identities_[allow];
  const RuleIdentity& other = *identities_[deny];
  const bool two_users = one.user_name && other.user_name && *one.user_name != *other.user_name;
  return allowed_[allow].empty() || two_users ? List() : known(denied_among(caller_of(one), other));
}

/// What is not known of a caller counts as fitting for a deny, and some denies nobody meets in another way.
std::optional<Caller> DiffCallers::denied_among(const Caller& allowed, const RuleIdentity& deny) const {
  Caller who = allowed;
  RuleIdentity seen = deny;
  if (deny.user_name && !can_be_user(*deny.user_name)) {
    if (!allowed.user.empty()) {
      return std::nullopt;
    }
    who.unnamed = true;
    seen.user_name.reset();
  }
  if (deny.group_name && deny.group_name->empty()) {
    who.more_groups = true;
    seen.group_name.reset();
  }
  if (!is_one_place(caller_of(deny))) {
    if (has_place(allowed)) {
      return std::nullopt;
    }
    who.place_unknown = true;
    seen.openmsp = {};
  }
  return authoring::both(who, caller_of(seen));
}

/// WireServer and HostGAPlugin are asked by root, or refuse.
bool DiffCallers::can_be_user(const std::string& name) const {
  return service_ == Service::kImds ? !name.empty() && name != "undefined" : name == "root";
}

bool DiffCallers::can_be(const Caller& caller) const {
  const bool user = caller.user.empty() || can_be_user(caller.user);
  const bool exe =
      caller.exe.empty() ||
      why_nobody({.name = {}, .user_name = {}, .group_name = {}, .exe_path = caller.exe, .process_name = {}}).empty();
  return user && exe && !caller.process.contains('/') && std::ranges::find(caller.groups, "") == caller.groups.end() &&
         is_one_place(caller);
}

DiffCallers::List DiffCallers::known(const std::optional<Caller>& caller) const {
  List out;
  if (!caller || !can_be(*caller)) {
    return out;
  }
  Caller who = tidied(*caller);
  // A name that some rule means is not that of whoever no rule means.
  const bool maybe_link = !who.exe.empty() && who.process.empty() && processes_.contains(base_name(who.exe));
  for (const bool link : {false, true}) {
    if (link <= maybe_link) {
      who.process = link ? nobodys_process_ : who.process;
      add_users(who, out);
    }
  }
  return out;
}

void DiffCallers::add_users(Caller who, List& out) const {
  const auto add = [&] { out.push_back({.caller = who, .identity = make_caller(who)}); };
  if (!who.user.empty()) {
    add();
    return;
  }
  if (!who.unnamed) {
    who.user = service_ == Service::kImds ? nobodys_name_ : "root";
    add();
  }
  // Root has a name that rules may mean: one whom no rule means is there without a name alone.
  if (who.unnamed || service_ != Service::kImds) {
    who.user.clear();
    who.unnamed = true;
    who.uid = service_ == Service::kImds ? std::nullopt : std::optional<std::uint32_t>(0);
    add();
  }
}

void DiffCallers::name_nobody() {
  for (const RuleIdentity* const identity : identities_) {
    users_.insert(identity->user_name ? *identity->user_name : std::string_view());
    processes_.insert(identity->process_name ? *identity->process_name : std::string_view());
  }
  while (users_.contains(nobodys_name_)) {
    nobodys_name_ += "-else";
  }
  while (processes_.contains(nobodys_process_)) {
    nobodys_process_ += "-other";
  }
}

}  // namespace msp::authoring
