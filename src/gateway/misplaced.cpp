// SPDX-License-Identifier: Apache-2.0
#include "gateway/misplaced.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "base/ascii.h"
#include "gateway/near_name.h"
#include "gateway/scale_set.h"

namespace msp::gateway {
namespace {

using json::Member;
using json::Value;

/// A name that decides, and where it is read.
struct Setting {
  std::string_view name;
  std::string_view at;
  bool common = false;  ///< others have such a name: it is ours within a securityProfile only
};

constexpr std::string_view kReference = "inVMAccessControlProfileReferenceId";

constexpr auto kOfMachines = std::to_array<Setting>({
    {"securityProfile", "/properties/securityProfile"},
    {"proxyAgentSettings", "/properties/securityProfile/proxyAgentSettings"},
    {"enabled", "/properties/securityProfile/proxyAgentSettings/enabled", true},
    {"mode", "/properties/securityProfile/proxyAgentSettings/mode", true},
    {"mode", "/properties/securityProfile/proxyAgentSettings/imds/mode", true},
    {"mode", "/properties/securityProfile/proxyAgentSettings/wireServer/mode", true},
    {"keyIncarnationId", "/properties/securityProfile/proxyAgentSettings/keyIncarnationId"},
    {"imds", "/properties/securityProfile/proxyAgentSettings/imds"},
    {"wireServer", "/properties/securityProfile/proxyAgentSettings/wireServer"},
    {kReference, "/properties/securityProfile/proxyAgentSettings/imds/inVMAccessControlProfileReferenceId"},
    {kReference, "/properties/securityProfile/proxyAgentSettings/wireServer/inVMAccessControlProfileReferenceId"},
    {"virtualMachineScaleSet", "/properties/virtualMachineScaleSet"},
    {"virtualMachineProfile", ""},
});

/// What stands in a scale set where it stands in a machine below `properties`.
constexpr std::string_view kCommonPart = "/properties/virtualMachineProfile";

std::string place_of(const Setting& setting, ResourceKind kind) {
  if (kind != ResourceKind::kScaleSet) {
    return std::string(setting.at);
  }
  if (setting.name == "virtualMachineProfile") {
    return std::string(kCommonPart);
  }
  if (setting.name == "virtualMachineScaleSet") {
    return {};
  }
  return fmt::format("{}{}", kCommonPart, setting.at.substr(std::string_view("/properties").size()));
}

std::string dotted(std::string_view pointer) {
  std::string out(pointer.substr(1));
  std::ranges::replace(out, '/', '.');
  return out;
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ascii_lower(a) == ascii_lower(b);
}

std::string pointer_under(const std::string& pointer, std::string_view name) {
  std::string out = pointer;
  json::append_pointer(out, name);
  return out;
}

/// All places of a resource, for names that decide.
class Search {
 public:
  Search(ResourceKind kind, const std::string& base, json::Problems& problems)
      : kind_(kind), base_(base), problems_(problems) {}

  void look(const Value& value, const std::string& at) {
    if (const auto* items = value.array(); items != nullptr) {
      for (std::size_t i = 0; i < items->size(); ++i) {
        look((*items)[i], fmt::format("{}/{}", at, i));
      }
    }
    if (value.object() == nullptr) {
      return;
    }
    for (const Member& member : value.object()->members) {
      const std::string here = pointer_under(at, member.name);
      if (!member.value.is_null() && !is_free(member.name, here) && !refuse(member, here)) {
        look(member.value, here);
      }
    }
  }

 private:
  /// Texts of the operator's own.
  static bool is_free(std::string_view name, const std::string& here) {
    if (!same_name(name, "tags") && !same_name(name, "settings") && !same_name(name, "protectedSettings")) {
      return false;
    }
    const std::string lower = ascii_lower(here);
    const bool extension = lower.starts_with("/resources/") || lower.find("/extensions/") != std::string::npos;
    return lower == "/tags" || (extension && (lower.ends_with("/settings") || lower.ends_with("/protectedsettings")));
  }

  /// Those of confidential machines have one.
  static bool is_of_a_disk(const std::string& here) {
    const std::string lower = ascii_lower(here);
    return lower.find("/storageprofile/") != std::string::npos && lower.ends_with("/manageddisk/securityprofile");
  }

  bool refuse(const Member& member, const std::string& here) {
    std::string places;
    bool decides = false;
    for (const Setting& setting : kOfMachines) {
      if (!same_name(setting.name, member.name) || (setting.common && !in_security_profile(here))) {
        continue;
      }
      decides = true;
      const std::string place = place_of(setting, kind_);
      if (same_name(place, here) || is_of_a_disk(here)) {
        return false;
      }
      if (!place.empty()) {
        places += fmt::format("{}{}", places.empty() ? "" : " or ", dotted(place));
      }
    }
    if (decides) {
      problems_.add(base_ + here, member.begin,
                    places.empty() ? fmt::format("is not read here: no {} has it",
                                                 kind_ == ResourceKind::kScaleSet ? "scale set" : "virtual machine")
                                   : fmt::format("is not read here: put it at {}", places));
    }
    return decides;
  }

  static bool in_security_profile(const std::string& here) {
    return ascii_lower(here).find("/securityprofile/") != std::string::npos;
  }

  ResourceKind kind_;
  const std::string& base_;
  json::Problems& problems_;
};

/// What is said in this object and meant for one of `names`.
void refuse_near(const Value& resource, const std::string& at, const std::string& base,
                 std::span<const std::string_view> names, json::Problems& problems) {
  const Value* const value = resource.at(at);
  if (value == nullptr || value->object() == nullptr) {
    return;
  }
  for (const Member& member : value->object()->members) {
    const auto is = [&](std::string_view known) { return same_name(member.name, known); };
    const auto meant =
        std::ranges::find_if(names, [&](std::string_view known) { return is_near_name(member.name, known); });
    if (!member.value.is_null() && meant != names.end() && std::ranges::none_of(names, is)) {
      problems.add(pointer_under(base + at, member.name), member.begin,
                   fmt::format("is not known: write {} if that is meant, or take it out", *meant));
    }
  }
}

/// The same in other letters, which readers pass over.
void refuse_spellings(const Value& resource, const std::string& base, std::span<const std::string_view> names,
                      json::Problems& problems) {
  for (const Member& member : resource.object()->members) {
    for (const std::string_view name : names) {
      if (member.name != name && same_name(member.name, name)) {
        problems.add(pointer_under(base, member.name), member.begin, fmt::format("is written {}", name));
      }
    }
  }
}

/// A mode that asks for something, or an allowlist, of which a machine that is not enabled has nothing.
void refuse_unenabled(const Value& resource, const std::string& at, const std::string& base, json::Problems& problems) {
  const Value* const settings = resource.at(at);
  const Value* const enabled = settings == nullptr ? nullptr : settings->find("enabled");
  if (settings == nullptr || (enabled != nullptr && !enabled->is_null())) {
    return;
  }
  for (const std::string_view asks :
       {"/mode", "/imds/mode", "/wireServer/mode", "/imds/inVMAccessControlProfileReferenceId",
        "/wireServer/inVMAccessControlProfileReferenceId"}) {
    const Value* const value = settings->at(asks);
    if (value == nullptr || !value->is_string() || value->string()->empty() ||
        ascii_lower(*value->string()) == to_string(Mode::kDisabled)) {
      continue;
    }
    problems.add(base + at + "/enabled", settings->begin,
                 fmt::format("is missing, and {} asks for something: say true or false", dotted(asks)));
    return;
  }
}

void refuse_settings(const Value& resource, ResourceKind kind, const std::string& base, json::Problems& problems) {
  static constexpr std::array<std::string_view, 4> kRoot{"name", "id", "type", "properties"};
  static constexpr std::array<std::string_view, 2> kMachine{"securityProfile", "virtualMachineScaleSet"};
  static constexpr std::array<std::string_view, 1> kSet{"virtualMachineProfile"};
  static constexpr std::array<std::string_view, 1> kSecurity{"proxyAgentSettings"};
  static constexpr std::array<std::string_view, 5> kSettings{"enabled", "mode", "keyIncarnationId", "wireServer",
                                                             "imds"};
  static constexpr std::array<std::string_view, 2> kEndpoint{"mode", kReference};
  refuse_spellings(resource, base, kRoot, problems);
  Search(kind, base, problems).look(resource, {});
  const bool is_set = kind == ResourceKind::kScaleSet;
  const std::string owner(is_set ? kCommonPart : "/properties");
  const std::string security = owner + "/securityProfile";
  const std::string settings = security + "/proxyAgentSettings";
  if (is_set) {
    refuse_near(resource, "/properties", base, kSet, problems);
  }
  refuse_near(resource, owner, base, kMachine, problems);
  refuse_near(resource, security, base, kSecurity, problems);
  refuse_near(resource, settings, base, kSettings, problems);
  refuse_near(resource, settings + "/imds", base, kEndpoint, problems);
  refuse_near(resource, settings + "/wireServer", base, kEndpoint, problems);
  refuse_unenabled(resource, settings, base, problems);
}

constexpr std::string_view kSetForm = "…/virtualMachineScaleSets/NAME";

/// An id that leads to a scale set but for what stands between slashes: read as it is, it would lead to none.
bool is_whole_set_id(std::string_view id) {
  return is_scale_set_id(id) && id.find("//") == std::string_view::npos &&
         id.find_first_of(" \t%") == std::string_view::npos;
}

/// True for an id of which a part is that of scale sets, or nearly so, and is no name that somebody chose.
bool speaks_of_a_set(std::string_view id) {
  std::string before;
  for (std::size_t at = 0; at < id.size();) {
    const std::size_t end = std::min(id.find('/', at), id.size());
    const std::string part = ascii_lower(id.substr(at, end - at));
    if (part.starts_with("virtualmachinescaleset") && before != "resourcegroups" && before != "virtualmachines") {
      return true;
    }
    before = part.empty() ? before : part;
    at = end + 1;
  }
  return false;
}

/// An instance whose set is misread stands for itself: open, whatever the set says.
void refuse_misread_set(const Value& resource, const std::string& base, json::Problems& problems) {
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
    problems.add(base + "/id", resource.begin,
                 fmt::format("is not that of an instance: write {}/virtualMachines/ID", kSetForm));
  }
  const Value* const link = resource.at("/properties/virtualMachineScaleSet");
  if (link == nullptr || link->is_null()) {
    return;
  }
  const std::string named = text_at("/properties/virtualMachineScaleSet/id");
  if (!is_whole_set_id(named)) {
    problems.add(base + "/properties/virtualMachineScaleSet", link->begin,
                 fmt::format("names no scale set: write {{\"id\": \"{}\"}}", kSetForm));
  } else if (under_a_set && ascii_lower(named) != below.substr(0, instance)) {
    problems.add(base + "/properties/virtualMachineScaleSet/id", link->begin,
                 "is another set than that which the id of this instance lies under: name the same, or leave it out");
  }
}

/// The host's guard ties a port to the hardware address that the model names: one that is none would tie nothing.
void refuse_hardware_addresses(const Value& resource, const std::string& base, json::Problems& problems) {
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
      problems.add(fmt::format("{}/properties/networkProfile/networkInterfaces/{}/properties/macAddress", base, i),
                   mac->begin, "is no hardware address: write six pairs of hex digits, such as 00-0D-3A-12-34-56");
    }
  }
}

/// What versions of profiles say, each at its level.
void refuse_in_profile(const Value& resource, ResourceKind kind, const std::string& base, json::Problems& problems) {
  static constexpr std::array<std::string_view, 3> kRoot{"id", "type", "properties"};
  static constexpr std::array<std::string_view, 3> kVersion{"mode", "defaultAccess", "rules"};
  static constexpr std::array<std::string_view, 4> kRules{"privileges", "roles", "identities", "roleAssignments"};
  refuse_spellings(resource, base, kRoot, problems);
  const bool is_version = kind == ResourceKind::kProfileVersion;
  const auto refuse_at = [&](const std::string& at, std::span<const std::string_view> names, std::string_view owner) {
    const Value* const value = resource.at(at);
    if (value == nullptr || value->object() == nullptr) {
      return;
    }
    for (const Member& member : value->object()->members) {
      for (const std::string_view name : names) {
        if (!member.value.is_null() && same_name(member.name, name)) {
          problems.add(pointer_under(base + at, member.name), member.begin,
                       is_version ? fmt::format("is not read here: put it at {}.{}", owner, name)
                                  : fmt::format("is not read here: it belongs to a version, at {}.{}", owner, name));
        }
      }
    }
  };
  for (const std::string at : {"", "/properties"}) {
    refuse_at(at, kRules, "properties.rules");
  }
  refuse_at("", kVersion, "properties");
  if (is_version) {
    refuse_at("/properties/rules", kVersion, "properties");
    refuse_near(resource, "/properties", base, kVersion, problems);
  } else {
    refuse_at("/properties", kVersion, "properties");
  }
}

}  // namespace

void refuse_misplaced(const Value& resource, ResourceKind kind, const std::string& pointer, json::Problems& problems) {
  if (resource.object() == nullptr) {
    return;
  }
  switch (kind) {
    case ResourceKind::kProfile:
    case ResourceKind::kProfileVersion:
      refuse_in_profile(resource, kind, pointer, problems);
      return;
    case ResourceKind::kVirtualMachine:
      refuse_settings(resource, kind, pointer, problems);
      refuse_misread_set(resource, pointer, problems);
      refuse_hardware_addresses(resource, pointer, problems);
      return;
    case ResourceKind::kScaleSet:
      refuse_settings(resource, kind, pointer, problems);
      if (const Value* id = resource.find("id");
          id != nullptr && id->is_string() && is_scale_set_id(*id->string()) && !is_whole_set_id(*id->string())) {
        problems.add(pointer + "/id", id->begin, fmt::format("is not that of a scale set: write {}", kSetForm));
      }
      return;
  }
}

}  // namespace msp::gateway
