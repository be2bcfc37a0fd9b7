// SPDX-License-Identifier: Apache-2.0
#include "gateway/scale_set.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"

namespace msp::gateway {
namespace {

using json::Member;
using json::Object;
using json::Value;

constexpr std::string_view kSets = "/virtualmachinescalesets/";
constexpr std::string_view kInstances = "/virtualmachines/";

std::string lower_text(const Value* value) {
  return value != nullptr && value->is_string() ? ascii_lower(*value->string()) : std::string();
}

bool says(const Object& object, std::string_view name) {
  const Value* value = object.find(name);
  return value != nullptr && !value->is_null();
}

/// Adds what `to` leaves out.
void fill(Object& to, std::string_view name, const Value* value) {
  if (value != nullptr && !value->is_null() && !says(to, name)) {
    std::erase_if(to.members, [&](const Member& member) { return member.name == name; });
    to.members.push_back({.name = std::string(name), .value = *value});
  }
}

/// The same, also of what an object that both have leaves out.
void fill_deep(Object& to, std::string_view name, const Value& value) {
  const auto known = std::ranges::find(to.members, name, &Member::name);
  if (known == to.members.end() || known->value.object() == nullptr || value.object() == nullptr) {
    fill(to, name, &value);
    return;
  }
  for (const Member& member : value.object()->members) {
    fill(*known->value.object(), member.name, &member.value);
  }
}

/// {name: value}
Value object_of(std::string_view name, const Value& value) {
  Object out;
  out.members.push_back({.name = std::string(name), .value = value});
  return Value(std::move(out));
}

/// All but one member.
Value without(const Value& value, std::string_view name) {
  Value out = value;
  if (out.object() != nullptr) {
    std::erase_if(out.object()->members, [&](const Member& member) { return member.name == name; });
  }
  return out;
}

/// Extensions of a set, in the form that those of a machine have.
Value as_resources(const Value& extensions) {
  json::Array out;
  for (const Value& extension : *extensions.array()) {
    if (extension.object() == nullptr) {
      continue;
    }
    Object resource = *extension.object();
    const Value type(std::string("Microsoft.Compute/virtualMachineScaleSets/extensions"));
    std::erase_if(resource.members, [](const Member& member) { return member.name == "type"; });
    fill(resource, "type", &type);
    out.emplace_back(std::move(resource));
  }
  return Value(std::move(out));
}

}  // namespace

bool is_scale_set_id(std::string_view id) {
  const std::string lower = ascii_lower(id);
  const auto at = lower.rfind(kSets);  // a resource group may have that name, too
  return at != std::string::npos && at + kSets.size() < lower.size() &&
         lower.find('/', at + kSets.size()) == std::string::npos;
}

std::string scale_set_of(const Value& resource) {
  const std::string id = lower_text(resource.find("id"));
  if (const auto at = id.rfind(kInstances); at != std::string::npos && is_scale_set_id(id.substr(0, at))) {
    return id.substr(0, at);
  }
  std::string named = lower_text(resource.at("/properties/virtualMachineScaleSet/id"));
  return is_scale_set_id(named) ? named : std::string();
}

ScaleSet read_scale_set(const Value& tree, json::Problems& problems) {
  ScaleSet set;
  json::ObjectReader root(tree, "", problems);
  set.name = root.string("name");
  if (set.name.empty() && problems.empty()) {
    root.fail("name", "is empty");
  }
  set.id = root.string("id");
  if (!set.id.empty() && !is_scale_set_id(set.id)) {
    root.fail("id", "is not one of a scale set: …/virtualMachineScaleSets/NAME");
  }
  if (refuse_flattened(root, "virtualMachineProfile")) {
    return set;
  }
  json::ObjectReader properties = root.required_object("properties");
  if (const Value* common = properties.raw("virtualMachineProfile"); common != nullptr && !common->is_null()) {
    json::ObjectReader profile = properties.object("virtualMachineProfile");
    set.proxy_agent = read_proxy_agent_settings(profile);
  }
  refuse_other_spellings(properties, {"virtualMachineProfile"});
  set.document = tree;
  return set;
}

ProxyAgentSettings settings_of_instance(const ProxyAgentSettings& set, const ProxyAgentSettings& own) {
  ProxyAgentSettings settings = set.says_enabled ? set : own;
  settings.key_incarnation_id = std::max(set.key_incarnation_id, own.key_incarnation_id);
  return settings;
}

Value document_of_instance(const Value& instance, const ScaleSet& set) {
  Value out = instance;
  if (out.object() == nullptr) {
    return out;
  }
  Object& top = *out.object();
  for (const std::string_view name : {"location", "tags", "zones", "plan", "identity"}) {
    fill(top, name, set.document.find(name));
  }
  if (const Value* ours = set.document.find("openmsp"); ours != nullptr) {
    fill_deep(top, "openmsp", *ours);
  }
  const auto member = std::ranges::find(top.members, "properties", &Member::name);
  if (member == top.members.end() || member->value.object() == nullptr) {
    return out;
  }
  Object& properties = *member->value.object();
  const Value* profile = set.document.at("/properties/virtualMachineProfile");
  if (profile != nullptr && profile->object() != nullptr) {
    for (const Member& common : profile->object()->members) {
      // Interfaces and extensions have another form in a set; what is closed comes by settings_of_instance().
      if (common.name == "securityProfile") {
        fill_deep(properties, common.name, without(common.value, "proxyAgentSettings"));
      } else if (common.name != "networkProfile" && common.name != "extensionProfile") {
        fill_deep(properties, common.name, common.value);
      }
    }
  }
  fill_deep(properties, "virtualMachineScaleSet", object_of("id", Value(set.id)));
  for (const Value* size : {instance.at("/sku/name"), set.document.at("/sku/name")}) {
    if (size != nullptr && size->is_string()) {
      fill_deep(properties, "hardwareProfile", object_of("vmSize", *size));
    }
  }
  const Value* extensions = set.document.at("/properties/virtualMachineProfile/extensionProfile/extensions");
  if (extensions != nullptr && extensions->array() != nullptr) {
    const Value resources = as_resources(*extensions);
    fill(top, "resources", &resources);
  }
  return out;
}

}  // namespace msp::gateway
