// SPDX-License-Identifier: Apache-2.0
#include "gateway/guest_view.h"

#include <fmt/format.h>

#include <map>

#include "base/crypto.h"
#include "gateway/source_addresses.h"

namespace msp::gateway {
namespace {

/// Everything that a guest is told, by name; sorted, so that two of them are compared in one walk.
using Facts = std::map<std::string, std::string>;

/// A section's items by name, each as the wire would have it.
void add_rules(Facts& facts, const std::string& prefix, const ServicePolicy& policy) {
  if (!policy.rules) {
    return;
  }
  json::Writer writer;
  write_rule_sections(writer, *policy.rules);
  const auto tree = json::parse(std::move(writer).take());
  if (!tree || tree->object() == nullptr) {
    return;
  }
  for (const json::Member& section : tree->object()->members) {
    if (section.value.array() == nullptr) {
      continue;
    }
    facts[fmt::format("{}.rules.{}", prefix, section.name)] = "given";
    for (const json::Value& item : *section.value.array()) {
      const json::Value* name = item.find(section.name == "roleAssignments" ? "role" : "name");
      const bool named = name != nullptr && name->is_string();
      std::string key = fmt::format("{}.rules.{}.{}", prefix, section.name, named ? *name->string() : "?");
      // One role may be assigned more than once.
      while (facts.contains(key)) {
        key += "+";
      }
      facts[key] = json::to_text(item);
    }
  }
}

void add_service(Facts& facts, const std::string& name, const ServicePolicy& policy, const EndpointSettings& endpoint) {
  facts[name + ".mode"] = to_string(policy.mode);
  if (policy.mode == Mode::kDisabled) {
    return;
  }
  facts[name + ".defaultAccess"] = policy.default_allow ? "allow" : "deny";
  if (!endpoint.profile_reference.empty()) {
    facts[name + ".profile"] = endpoint.profile_reference;
  }
  add_rules(facts, name, policy);
}

Facts facts_of(const Vm* vm) {
  Facts facts;
  if (vm == nullptr) {
    return facts;
  }
  const ProxyAgentSettings& settings = vm->model.proxy_agent;
  facts["enabled"] = settings.enabled ? "true" : "false";
  facts["keyIncarnationId"] = std::to_string(settings.key_incarnation_id);
  facts["sourceAddresses"] = join_addresses(vm->addresses);
  if (!vm->network.empty()) {
    facts["network"] = vm->network;
  }
  if (const auto digest = sha256(as_bytes(vm->content.instance_text)); digest) {
    facts["instanceMetadata"] = hex_encode(Bytes(*digest).first(4));  // long: only that it changes is shown
  }
  facts["goalState"] = vm->content.goal_state.incarnation;
  add_service(facts, "imds", vm->imds, settings.imds);
  add_service(facts, "wireServer", vm->wire_server, settings.wire_server);
  return facts;
}

}  // namespace

GuestChange guest_change(const Vm* before, const Vm* after) {
  const Vm* shown = after != nullptr ? after : before;
  GuestChange change;
  if (shown != nullptr) {
    change.name = shown->model.name;
    change.vm_id = shown->model.vm_id;
  }
  const Facts old = facts_of(before);
  const Facts now = facts_of(after);
  for (const auto& [what, to] : now) {
    const auto found = old.find(what);
    if (found == old.end() || found->second != to) {
      change.differences.push_back({.what = what, .from = found == old.end() ? "" : found->second, .to = to});
    }
  }
  for (const auto& [what, from] : old) {
    if (!now.contains(what)) {
      change.differences.push_back({.what = what, .from = from, .to = {}});
    }
  }
  return change;
}

std::string_view mode_of(const Vm& vm, Service service) { return to_string(vm.policy(service).mode); }

}  // namespace msp::gateway
