// SPDX-License-Identifier: Apache-2.0
#include "rules/dump.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"

namespace msp::rules {
namespace {

constexpr std::array kServices = {Service::kImds, Service::kWireServer, Service::kHostGaPlugin};

// By name; of a repeated name the last one counts (E.2.4).
template <class T>
std::map<std::string, const T*> by_name(const std::vector<T>& all) {
  std::map<std::string, const T*> out;
  for (const T& one : all) {
    out[one.name] = &one;
  }
  return out;
}

struct Computed {
  std::map<std::string, const RulePrivilege*> privileges;
  std::map<std::string, const RuleIdentity*> identities;
  std::map<std::string, std::set<std::string>> assignments;  ///< privilege → identities
};

Computed compute(const RuleSections& sections) {
  Computed out;
  if (!sections.privileges || !sections.roles || !sections.identities || !sections.role_assignments) {
    return out;  // one that is missing takes all away (E.2.3)
  }
  out.privileges = by_name(*sections.privileges);
  out.identities = by_name(*sections.identities);
  const auto roles = by_name(*sections.roles);
  for (const RuleAssignment& assignment : *sections.role_assignments) {
    const auto role = roles.find(assignment.role);
    if (role == roles.end() || assignment.openmsp.deny || assignment.openmsp.dry_run) {
      continue;
    }
    for (const std::string& privilege : role->second->privileges) {
      if (!out.privileges.contains(privilege)) {
        continue;
      }
      std::set<std::string>& holders = out.assignments[privilege];
      std::ranges::copy_if(assignment.identities, std::inserter(holders, holders.end()),
                           [&](const std::string& name) { return out.identities.contains(name); });
    }
  }
  return out;
}

void write_privileges(json::Writer& w, const Computed& computed) {
  w.key("privileges").begin_object();
  for (const auto& [name, privilege] : computed.privileges) {
    w.key(name).begin_object().field("name", name).field("path", privilege->path);
    if (!privilege->query_parameters.empty()) {
      w.key("queryParameters").begin_object();
      for (const auto& [key, value] : privilege->query_parameters) {
        w.field(key, value);
      }
      w.end_object();
    }
    w.end_object();
  }
  w.end_object().key("privilegeAssignments").begin_object();
  for (const auto& [privilege, holders] : computed.assignments) {
    w.key(privilege).begin_array();
    for (const std::string& identity : holders) {
      w.value(identity);
    }
    w.end_array();
  }
  w.end_object();
}

void write_identities(json::Writer& w, const Computed& computed) {
  w.key("identities").begin_object();
  for (const auto& [name, identity] : computed.identities) {
    w.key(name).begin_object().field("name", name);
    const auto optional = [&](std::string_view key, const std::optional<std::string>& value) {
      if (value) {
        w.field(key, *value);
      }
    };
    optional("userName", identity->user_name);
    optional("groupName", identity->group_name);
    optional("exePath", identity->exe_path);
    optional("processName", identity->process_name);
    w.end_object();
  }
  w.end_object();
}

std::string_view mode_of(const policy::RuleSet& rules) {
  switch (rules.mode()) {
    case policy::Mode::kDisabled:
      return "Disabled";
    case policy::Mode::kAudit:
      return "Audit";
    case policy::Mode::kEnforce:
      return "Enforce";
  }
  return "Enforce";
}

void write_computed(json::Writer& w, const RuleItem& item, const policy::RuleSet& rules) {
  const bool usable = rules.unusable().empty() && item.rules.has_value();
  const Computed computed = usable ? compute(*item.rules) : Computed();
  w.begin_object().field("id", rules.id()).field("defaultAllowed", rules.default_allow()).field("mode", mode_of(rules));
  write_privileges(w, computed);
  write_identities(w, computed);
  w.end_object();
}

}  // namespace

std::string dump_text(const EffectiveItems& items, const policy::Snapshot& rules) {
  json::Writer w(json::Style::kPretty);
  w.begin_object().key("inputRules").begin_object();
  for (const Service service : kServices) {
    if (const auto& item = items[static_cast<std::size_t>(service)]) {
      w.key(to_string(service));
      write_rule_item(w, *item);
    }
  }
  w.end_object().key("computedRules").begin_object();
  for (const Service service : kServices) {
    const auto& item = items[static_cast<std::size_t>(service)];
    if (item && rules.of(service)) {
      w.key(to_string(service));
      write_computed(w, *item, *rules.of(service));
    }
  }
  w.end_object().end_object();
  return std::move(w).take();
}

Result<void> write_dump(const std::string& folder, const std::string& text, std::int64_t unix_ns) {
  std::string time = timestamp_ms(unix_ns);
  std::ranges::replace(time, ':', '.');
  const std::string path = fmt::format("{}/{}{}-{}.json", folder, kDumpPrefix, time, unix_ns);
  if (auto written = file::replace(path, text, {.mode = 0640, .durable = false, .owner = {}, .group = {}}); !written) {
    return written;
  }
  auto names = file::list(folder);
  if (!names) {
    return std::move(names).error();
  }
  std::erase_if(*names,
                [](const std::string& name) { return !name.starts_with(kDumpPrefix) || !name.ends_with(".json"); });
  for (std::size_t i = 0; i + kMostDumps < names->size(); ++i) {
    if (auto gone = file::remove(fmt::format("{}/{}", folder, (*names)[i])); !gone) {
      return gone;
    }
  }
  return {};
}

}  // namespace msp::rules
