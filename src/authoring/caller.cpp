// SPDX-License-Identifier: Apache-2.0
#include "authoring/caller.h"

#include <memory>

#include "authoring/rule_callers.h"
#include "base/rules_extension.h"

namespace msp::authoring {
namespace {

std::shared_ptr<const identity::CgroupPlace> place_of(const Caller& caller) {
  identity::CgroupPlace out = caller.cgroup.empty() ? identity::CgroupPlace() : identity::place_in(caller.cgroup);
  if (!caller.unit.empty()) {
    out.unit = caller.unit;
  }
  if (!caller.container.empty()) {
    out.container = caller.container;
  }
  return std::make_shared<const identity::CgroupPlace>(std::move(out));
}

}  // namespace

std::vector<CallerFault> faults_of(const Caller& caller) {
  std::vector<CallerFault> out;
  const auto look = [&out](std::string_view member, std::string_view value, std::string_view what) {
    if (!value.empty() && !what.empty()) {
      out.push_back({.member = member, .value = value, .what = what});
    }
  };
  look("unit", caller.unit, unit_fault(caller.unit));
  if (caller.cgroup != "/") {  // a process may well be in the root, only no rule names it
    look("cgroup", caller.cgroup, cgroup_fault(caller.cgroup));
  }
  look("container", caller.container, container_fault(caller.container));
  return out;
}

identity::ConnectionIdentity make_caller(const Caller& caller) {
  identity::ConnectionIdentity out;
  out.known = true;
  out.unknown = identity::Unknown::kNone;
  out.elevated = caller.uid ? *caller.uid == 0 : caller.user == "root";
  out.uid = caller.uid.value_or(out.elevated ? 0 : out.uid);
  out.euid = out.uid;
  out.user_name = caller.user;
  out.group_names = caller.groups;
  out.more_groups = caller.more_groups;
  out.exe_path = caller.exe;
  if (!caller.exe.empty()) {
    out.exe_rule_paths.push_back(caller.exe);
  }
  out.process_name = caller.process.empty() ? std::string(base_name(caller.exe)) : caller.process;
  out.cgroup = caller.place_unknown ? nullptr : place_of(caller);
  return out;
}

}  // namespace msp::authoring
