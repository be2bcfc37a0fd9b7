// SPDX-License-Identifier: Apache-2.0
#include "gateway/misplaced.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/ascii.h"
#include "gateway/misplaced_parts.h"
#include "gateway/near_name.h"
#include "gateway/scale_set.h"
#include "gateway/trail.h"

namespace msp::gateway {
namespace {

using json::Member;
using json::Value;

constexpr std::string_view kOfOthers = "replicationMode";  ///< ends as one of ours, and is ARM's own
constexpr std::string_view kSetForm = "…/virtualMachineScaleSets/NAME";

/// An id of a scale set that another spells in the same way.
bool is_whole_set_id(std::string_view id) {
  const auto strange = [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || std::string_view("%?#\\\x7f").contains(c);
  };
  return is_scale_set_id(id) && id.starts_with('/') && !id.contains("//") && std::ranges::none_of(id, strange);
}

/// True for an id of which a part is `meant`, and is no name that somebody chose.
template <class Meant>
bool has_part(std::string_view id, const Meant& meant) {
  std::string before;
  for (std::size_t at = 0; at < id.size();) {
    const std::size_t end = std::min(id.find('/', at), id.size());
    const std::string part = ascii_lower(id.substr(at, end - at));
    const bool chosen = before == "resourcegroups" || before == "virtualmachines";
    if (!chosen && meant(part, before)) {
      return true;
    }
    before = part.empty() ? before : part;
    at = end + 1;
  }
  return false;
}

/// That of scale sets, or nearly so.
bool speaks_of_a_set(std::string_view id) {
  return has_part(id, [](std::string_view part, std::string_view) {
    return part.starts_with("virtualmachinescaleset") || is_mistyped(part, "virtualMachineScaleSets");
  });
}

bool speaks_nearly_of_machines(std::string_view id) {
  return has_part(id, [](std::string_view part, std::string_view before) {
    return before != "virtualmachinescalesets" && is_mistyped(part, "virtualMachines");
  });
}

/// An instance whose set is misread stands for itself: open, whatever the set says.
void refuse_misread_set(const Value& resource, Findings& findings) {
  const auto text_at = [&](std::string_view pointer) {
    const Value* const value = resource.at(pointer);
    return value != nullptr && value->is_string() ? *value->string() : std::string();
  };
  const std::string id = text_at("/id");
  const std::string below = ascii_lower(id);
  const auto instance = below.rfind("/virtualmachines/");
  const bool under_a_set = instance != std::string::npos && is_whole_set_id(id.substr(0, instance)) &&
                           below.substr(instance).find_last_of('/') == std::string_view("/virtualmachines").size() &&
                           !below.ends_with('/');
  const bool typed = same_name(text_at("/type"), "Microsoft.Compute/virtualMachineScaleSets/virtualMachines");
  if (!under_a_set && (typed || speaks_of_a_set(id))) {
    findings.add("/id", resource.begin,
                 fmt::format("is not that of an instance: write {}/virtualMachines/ID", kSetForm));
  } else if (speaks_nearly_of_machines(id)) {
    findings.add("/id", resource.begin, "is not that of a virtual machine: write …/virtualMachines/NAME");
  }
  const Value* const link = resource.at("/properties/virtualMachineScaleSet");
  if (link == nullptr || link->is_null()) {
    return;
  }
  const std::string named = text_at("/properties/virtualMachineScaleSet/id");
  if (!is_whole_set_id(named)) {
    findings.add("/properties/virtualMachineScaleSet", link->begin,
                 fmt::format("names no scale set: write {{\"id\": \"{}\"}}", kSetForm));
  } else if (under_a_set && ascii_lower(named) != below.substr(0, instance)) {
    findings.add("/properties/virtualMachineScaleSet/id", link->begin,
                 "is another set than that which the id of this instance lies under: name the same, or leave it out");
  }
}

/// The host's guard ties a port to the hardware address that the model names: one that is none would tie nothing.
void refuse_hardware_addresses(const Value& resource, Findings& findings) {
  constexpr std::size_t kDigits = 12;
  const Value* const interfaces = resource.at("/properties/networkProfile/networkInterfaces");
  for (std::size_t i = 0; interfaces != nullptr && interfaces->array() != nullptr && i < interfaces->array()->size();
       ++i) {
    const Value* const mac = (*interfaces->array())[i].at("/properties/macAddress");
    if (mac == nullptr || mac->is_null()) {
      continue;
    }
    std::string digits = mac->is_string() ? *mac->string() : std::string("?");
    std::erase_if(digits, [](char c) { return c == ':' || c == '-'; });
    const bool hex = digits.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
    if (!digits.empty() && (digits.size() != kDigits || !hex)) {
      findings.add(fmt::format("/properties/networkProfile/networkInterfaces/{}/properties/macAddress", i), mac->begin,
                   "is no hardware address: write six pairs of hex digits, such as 00-0D-3A-12-34-56");
    }
  }
}

}  // namespace

void refuse_near(const Value& resource, const std::string& at, std::span<const std::string_view> names,
                 Findings& findings) {
  const Value* const value = resource.at(at);
  if (value == nullptr || value->object() == nullptr) {
    return;
  }
  for (const Member& member : value->object()->members) {
    const auto is = [&](std::string_view known) { return same_name(member.name, known); };
    if (is(kOfOthers)) {
      continue;
    }
    const auto meant =
        std::ranges::find_if(names, [&](std::string_view known) { return is_near_name(member.name, known); });
    if (!member.value.is_null() && meant != names.end() && std::ranges::none_of(names, is)) {
      findings.add(pointer_under(at, member.name), member.begin,
                   fmt::format("is not known: write {} if that is meant, or take it out", *meant));
    }
  }
}

void refuse_spellings(const Value& resource, std::span<const std::string_view> names, Findings& findings) {
  for (const Member& member : resource.object()->members) {
    for (const std::string_view name : names) {
      if (member.name != name && same_name(member.name, name)) {
        findings.add(pointer_under({}, member.name), member.begin, fmt::format("is written {}", name));
      }
    }
  }
}

void refuse_misplaced(const Value& resource, ResourceKind kind, const std::string& pointer, json::Problems& problems) {
  if (resource.object() == nullptr) {
    return;
  }
  Findings findings(pointer, problems);
  switch (kind) {
    case ResourceKind::kProfile:
    case ResourceKind::kProfileVersion:
      refuse_in_profile(resource, kind, findings);
      break;
    case ResourceKind::kVirtualMachine:
      refuse_settings(resource, kind, findings);
      refuse_misread_set(resource, findings);
      refuse_hardware_addresses(resource, findings);
      break;
    case ResourceKind::kScaleSet:
      refuse_settings(resource, kind, findings);
      if (const Value* id = resource.find("id"); id != nullptr && id->is_string() && !is_whole_set_id(*id->string()) &&
                                                 (id->string()->empty() || is_scale_set_id(*id->string()))) {
        findings.add("/id", id->begin, fmt::format("is not that of a scale set: write {}", kSetForm));
      }
      break;
  }
  findings.finish(resource.begin);
}

}  // namespace msp::gateway
