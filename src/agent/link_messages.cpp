// SPDX-License-Identifier: Apache-2.0
#include "agent/link_messages.h"

#include "base/json.h"

namespace msp::agent {
namespace {

std::vector<link::Names::Name> list(const identity::NameTable::Names& names) {
  std::vector<link::Names::Name> out;
  out.reserve(names.size());
  for (const auto& [id, name] : names) {
    out.push_back({.id = id, .name = name});
  }
  return out;
}

}  // namespace

link::Names names_message(const identity::NameTable& names) {
  return {.users = list(names.users()), .groups = list(names.groups())};
}

link::Pins pins_message(const identity::PinTable& pins) {
  link::Pins out{.idle = pins.idle(), .ticket = pins.ticket(), .pins = {}};
  out.pins.reserve(pins.entries().size());
  for (const auto& [path, pin] : pins.entries()) {
    out.pins.push_back({.path = path, .inode = pin.inode, .since_ns = pin.since_ns});
  }
  return out;
}

link::Places places_message(const identity::CgroupTable& cgroups) {
  using From = identity::CgroupTable::Found;
  using To = link::Places::Found;
  link::Places out{.idle = cgroups.idle(), .ticket = cgroups.ticket(), .entries = {}};
  out.entries.reserve(cgroups.entries().size());
  for (const auto& [id, entry] : cgroups.entries()) {
    const To found = entry.found == From::kPlace ? To::kPlace : entry.found == From::kGone ? To::kGone : To::kFailed;
    out.entries.push_back({.cgroup = id, .found = found, .path = entry.place ? entry.place->path : std::string()});
  }
  return out;
}

link::Rules rules_message(const rules::EffectiveItems& items, const policy::Snapshot& compiled) {
  link::Rules out;
  out.matching = compiled.matching;
  out.generation = compiled.generation;
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    const auto& set = compiled.of(static_cast<Service>(i));
    if (set && !set->unusable().empty()) {
      out.sets[i] = {.kind = link::Rules::Kind::kDenyAll, .id = set->id(), .text = set->unusable()};
    } else if (const auto& item = items[i]) {
      json::Writer writer;
      write_rule_item(writer, *item);
      out.sets[i] = {.kind = link::Rules::Kind::kItem, .id = {}, .text = std::move(writer).take()};
    }
  }
  return out;
}

link::Gate gate_message(const proxy::Gate& gate) {
  link::Gate out{.readiness = gate.readiness,
                 .rules = {},
                 .key = {},
                 .host_time_offset_ms = gate.host_time_offset_ms,
                 .asks = gate.asks};
  if (gate.rules) {
    out.rules = gate.rules->generation;
  }
  if (gate.key) {
    out.key = {.guid = gate.key->guid, .bytes = gate.key->bytes.clone()};
  }
  return out;
}

}  // namespace msp::agent
