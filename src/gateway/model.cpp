// SPDX-License-Identifier: Apache-2.0
#include "gateway/model.h"

#include <fmt/format.h>

#include "base/file.h"
#include "gateway/misplaced.h"
#include "gateway/profile.h"
#include "gateway/scale_set.h"

namespace msp::gateway {
namespace {

// ARM writes absent objects as null.
bool has_object(json::ObjectReader& reader, std::string_view name) {
  const json::Value* value = reader.raw(name);
  return value != nullptr && !value->is_null();
}

std::optional<Mode> read_mode(json::ObjectReader& reader, bool may_disable) {
  const std::string text = text_or_empty(reader, "mode");
  if (text.empty()) {
    return std::nullopt;
  }
  const auto mode = parse_mode(text);
  if (!mode || (*mode == Mode::kDisabled && !may_disable)) {
    reader.fail("mode", may_disable ? "must be Audit, Enforce or Disabled" : "must be Audit or Enforce");
  }
  return mode;
}

EndpointSettings read_endpoint(json::ObjectReader& settings, std::string_view name) {
  EndpointSettings endpoint;
  if (!has_object(settings, name)) {
    return endpoint;
  }
  json::ObjectReader reader = settings.object(name);
  endpoint.mode = read_mode(reader, true);
  endpoint.profile_reference = text_or_empty(reader, "inVMAccessControlProfileReferenceId");
  refuse_other_spellings(reader, {"mode", "inVMAccessControlProfileReferenceId"});
  return endpoint;
}

ProxyAgentSettings read_settings(json::ObjectReader settings) {
  ProxyAgentSettings out;
  const json::Value* enabled = settings.raw("enabled");
  out.says_enabled = enabled != nullptr && !enabled->is_null();
  out.enabled = out.says_enabled && settings.boolean("enabled");
  out.mode = read_mode(settings, false);
  const json::Value* incarnation = settings.raw("keyIncarnationId");
  if (incarnation != nullptr && !incarnation->is_null()) {
    out.key_incarnation_id =
        static_cast<std::uint32_t>(settings.integer("keyIncarnationId", {.min = 0, .max = 0xffffffff}));
  }
  out.wire_server = read_endpoint(settings, "wireServer");
  out.imds = read_endpoint(settings, "imds");
  refuse_other_spellings(settings, {"enabled", "mode", "keyIncarnationId", "wireServer", "imds"});
  return out;
}

std::vector<Ipv4Address> private_addresses(const json::Value& document) {
  std::vector<Ipv4Address> found;
  const json::Value* interfaces = document.at("/properties/networkProfile/networkInterfaces");
  if (interfaces == nullptr || interfaces->array() == nullptr) {
    return found;
  }
  for (const json::Value& interface : *interfaces->array()) {
    const json::Value* configurations = interface.at("/properties/ipConfigurations");
    if (configurations == nullptr || configurations->array() == nullptr) {
      continue;
    }
    for (const json::Value& configuration : *configurations->array()) {
      const json::Value* address = configuration.at("/properties/privateIPAddress");
      if (address != nullptr && address->is_string()) {
        if (auto parsed = parse_address(*address->string()); parsed) {
          found.push_back(*parsed);
        }
      }
    }
  }
  return found;
}

}  // namespace

std::string text_or_empty(json::ObjectReader& reader, std::string_view name) {
  const json::Value* value = reader.raw(name);
  return value == nullptr || value->is_null() ? std::string{} : reader.string(name);
}

void refuse_other_spellings(json::ObjectReader& reader, std::initializer_list<std::string_view> names) {
  for (const json::Member* member : reader.rest()) {
    for (const std::string_view name : names) {
      if (member->name != name && ascii_lower(member->name) == ascii_lower(name)) {
        reader.fail(member->name, fmt::format("is written {}", name));
      }
    }
  }
}

ProxyAgentSettings read_proxy_agent_settings(json::ObjectReader& owner) {
  ProxyAgentSettings out;
  if (has_object(owner, "securityProfile")) {
    json::ObjectReader security = owner.object("securityProfile");
    if (has_object(security, "proxyAgentSettings")) {
      out = read_settings(security.object("proxyAgentSettings"));
    }
    refuse_other_spellings(security, {"proxyAgentSettings"});
  }
  refuse_other_spellings(owner, {"securityProfile", "virtualMachineScaleSet"});
  return out;
}

bool is_guid(std::string_view text) {
  if (text.size() != 36) {
    return false;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (dash ? c != '-' : !hex) {
      return false;
    }
  }
  return true;
}

bool refuse_flattened(json::ObjectReader& root, std::string_view member) {
  const bool flattened = !root.has("properties") && root.has(member);
  if (flattened) {
    root.fail("properties",
              fmt::format("is missing, and {} stands beside it: 'az resource show --ids ID' and 'az rest' "
                          "write a resource whole, 'az vm show' and 'az vmss show' do not",
                          member));
  }
  return flattened;
}

VmModel read_model(const json::Value& resource, const std::string& pointer, json::Problems& problems) {
  VmModel model;
  json::ObjectReader root(resource, pointer, problems);
  model.name = root.string("name");
  if (model.name.empty() && problems.empty()) {
    root.fail("name", "is empty");
  }
  model.id = text_or_empty(root, "id");
  if (refuse_flattened(root, "vmId")) {
    return model;
  }
  json::ObjectReader properties = root.required_object("properties");
  model.vm_id = ascii_lower(properties.string("vmId"));
  if (!is_guid(model.vm_id) && (!model.vm_id.empty() || problems.empty())) {
    properties.fail("vmId", "is not a GUID: keys belong to it, so it must be unique");
  }
  model.proxy_agent = read_proxy_agent_settings(properties);
  model.private_addresses = private_addresses(resource);
  return model;
}

Result<VmModel> parse_model(std::string_view text, std::string_view name) {
  auto tree = json::parse(text, kResourceFile);
  if (!tree) {
    return std::move(tree).error().context(name);
  }
  json::Problems problems(text, name);
  VmModel model = read_model(*tree, "", problems);
  refuse_misplaced(*tree, ResourceKind::kVirtualMachine, "", problems);
  if (!model.proxy_agent.says_enabled && !scale_set_of(*tree).empty()) {
    problems.add("/properties/securityProfile/proxyAgentSettings/enabled", tree->begin,
                 "is missing, and a machine of a file belongs to no scale set: say it here, or apply the machine and "
                 "its set by mspctl vmss");
  }
  if (auto result = problems.result(); !result) {
    return std::move(result).error();
  }
  model.document = std::move(*tree);
  return model;
}

Result<VmModel> load_model(const std::string& path) {
  auto text = file::read(path, file::configuration(), kResourceFile.max_bytes);
  if (!text) {
    return std::move(text).error().context("virtual machine model");
  }
  return parse_model(*text, path);
}

}  // namespace msp::gateway
