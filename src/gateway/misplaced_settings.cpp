// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
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

/// A name that decides, and where it is read.
struct Setting {
  std::string_view name;
  std::string_view at;
  bool common = false;  ///< others have such a name: it is ours within a securityProfile only
};

constexpr std::string_view kReference = "inVMAccessControlProfileReferenceId";

constexpr Setting kOurs{"proxyAgentSettings", "/properties/securityProfile/proxyAgentSettings"};

constexpr auto kOfMachines = std::to_array<Setting>({
    kOurs,
    {"securityProfile", "/properties/securityProfile"},
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

/// Names long enough to be meant wherever something like them stands. Beside the right place they are found as near.
constexpr std::size_t kDistinctive = 12;

constexpr std::array<std::string_view, 5> kSettings{"enabled", "mode", "keyIncarnationId", "wireServer", "imds"};

constexpr std::array<std::string_view, 2> kEndpoint{"mode", kReference};

/// What versions of profiles say: in a machine's own settings nobody reads it.
constexpr std::array<std::string_view, 6> kAllowlist{"defaultAccess", "rules",      "privileges",
                                                     "roles",         "identities", "roleAssignments"};

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
  std::string out(pointer.substr(std::min<std::size_t>(1, pointer.size())));
  std::ranges::replace(out, '/', '.');
  return out;
}

/// All places of a resource, for names that decide.
class Search {
 public:
  Search(ResourceKind kind, Findings& findings) : kind_(kind), findings_(findings) {}

  /// True where what is below the member is to be looked at.
  bool operator()(const Member& member, const Trail& trail) {
    return !member.value.is_null() && !is_free(member, trail) && !refuse_allowlist(member, trail) &&
           !refuse(member, trail) && !refuse_mistyped(member, trail) && !refuse_alike(member, trail);
  }

 private:
  static bool is_all_text(const Value& value) {
    return value.object() != nullptr && std::ranges::all_of(value.object()->members, [](const Member& tag) {
             return tag.value.is_string() || tag.value.is_null();
           });
  }

  /// Texts of the operator's own.
  static bool is_free(const Member& member, const Trail& trail) {
    if (same_name(member.name, "tags")) {
      return trail.is("/tags") || is_all_text(member.value);  // resources within it have some, too
    }
    return (same_name(member.name, "settings") || same_name(member.name, "protectedSettings")) &&
           (trail.begins_with("resources") || trail.is_within("extensions"));
  }

  /// Those of confidential machines have one.
  static bool is_of_a_disk(const Trail& trail) {
    return trail.ends_with("/managedDisk/securityProfile") && trail.is_within("storageProfile");
  }

  bool refuse(const Member& member, const Trail& trail) {
    std::string places;
    bool decides = false;
    for (const Setting& setting : kOfMachines) {
      if (!same_name(setting.name, member.name) || (setting.common && !trail.is_within("securityProfile"))) {
        continue;
      }
      decides = true;
      const std::string place = place_of(setting, kind_);
      if ((!place.empty() && trail.is(place)) || is_of_a_disk(trail)) {
        return false;
      }
      if (!place.empty()) {
        places += fmt::format("{}{}", places.empty() ? "" : " or ", dotted(place));
      }
    }
    if (decides) {
      add(member, trail, "is not read here: " + advice(places));
    }
    return decides;
  }

  bool refuse_allowlist(const Member& member, const Trail& trail) {
    const bool is =
        std::ranges::any_of(kAllowlist, [&](std::string_view name) { return same_name(member.name, name); }) &&
        trail.is_within("proxyAgentSettings");
    if (is) {
      add(member, trail, "is not read here: an allowlist stands in a version of an inVMAccessControlProfile");
    }
    return is;
  }

  bool refuse_mistyped(const Member& member, const Trail& trail) {
    const auto* const meant = std::ranges::find_if(kOfMachines, [&](const Setting& setting) {
      return setting.name.size() >= kDistinctive && is_mistyped(member.name, setting.name);
    });
    if (meant == kOfMachines.end()) {
      return false;
    }
    const std::string place = place_of(*meant, kind_);
    if (!place.empty() && trail.is_beside(place)) {
      return false;
    }
    add(member, trail, fmt::format("is not known: if {} is meant, {}", meant->name, advice(dotted(place))));
    return true;
  }

  /// Whatever else is named after the proxy agent. The settings themselves have such a member of ARM's own, and a
  /// resource may be named after it, whose id stands as a name.
  bool refuse_alike(const Member& member, const Trail& trail) {
    const std::string place = place_of(kOurs, kind_);
    if (!ascii_lower(member.name).contains("proxyagent") || member.name.contains('/') || trail.is_within(kOurs.name) ||
        trail.is(place) || (trail.is_beside(place) && is_near_name(member.name, kOurs.name))) {
      return false;
    }
    add(member, trail, fmt::format("is not read: if {} is meant, {}", kOurs.name, advice(dotted(place))));
    return true;
  }

  std::string advice(const std::string& places) const {
    return places.empty()
               ? fmt::format("no {} has it", kind_ == ResourceKind::kScaleSet ? "scale set" : "virtual machine")
               : fmt::format("put it at {}", places);
  }
  void add(const Member& member, const Trail& trail, const std::string& message) {
    findings_.add(findings_.full() ? std::string() : trail.pointer(), member.begin, message);
  }

  ResourceKind kind_;
  Findings& findings_;
};

bool says(const Value& object, std::string_view name) {
  const Value* const value = object.find(name);
  return value != nullptr && !value->is_null() && !(value->is_string() && value->string()->empty());
}

/// A member that says something, is none of `names` and nothing near, which refuse_near() tells; null: none.
const Member* other_than(const Value& object, std::span<const std::string_view> names) {
  for (const Member& member : object.object()->members) {
    const auto told = [&](std::string_view name) {
      return same_name(member.name, name) || is_near_name(member.name, name);
    };
    if (!member.value.is_null() && std::ranges::none_of(names, told)) {
      return &member;
    }
  }
  return nullptr;
}

/// A mode that asks for something, an allowlist or something unknown, of which a machine that is not enabled has
/// nothing.
void refuse_unenabled(const Value& resource, const std::string& at, Findings& findings) {
  const Value* const settings = resource.at(at);
  if (settings == nullptr || settings->object() == nullptr || says(*settings, "enabled")) {
    return;
  }
  if (const Member* const unknown = other_than(*settings, kSettings); unknown != nullptr) {
    findings.add(at + "/enabled", settings->begin,
                 fmt::format("is missing, and there is {}: say true or false", pointer_under({}, unknown->name)));
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
    findings.add(at + "/enabled", settings->begin,
                 fmt::format("is missing, and {} asks for something: say true or false", dotted(asks)));
    return;
  }
}

/// Settings of a service of which nothing is read: every user may ask it then.
void refuse_unread(const Value& resource, const std::string& at, Findings& findings) {
  const Value* const endpoint = resource.at(at);
  if (endpoint == nullptr || endpoint->object() == nullptr || says(*endpoint, "mode") || says(*endpoint, kReference)) {
    return;
  }
  if (const Member* const unknown = other_than(*endpoint, kEndpoint); unknown != nullptr) {
    findings.add(pointer_under(at, unknown->name), unknown->begin,
                 fmt::format("is not read, and nothing beside it is: write mode or {}", kReference));
  }
}

}  // namespace

void refuse_settings(const Value& resource, ResourceKind kind, Findings& findings) {
  static constexpr std::array<std::string_view, 4> kRoot{"name", "id", "type", "properties"};
  static constexpr std::array<std::string_view, 2> kMachine{"securityProfile", "virtualMachineScaleSet"};
  static constexpr std::array<std::string_view, 1> kSet{"virtualMachineProfile"};
  static constexpr std::array<std::string_view, 1> kSecurity{"proxyAgentSettings"};
  refuse_spellings(resource, kRoot, findings);
  Trail trail;
  Search search(kind, findings);
  walk(resource, trail, search);
  const bool is_set = kind == ResourceKind::kScaleSet;
  const std::string owner(is_set ? kCommonPart : "/properties");
  const std::string security = owner + "/securityProfile";
  const std::string settings = security + "/proxyAgentSettings";
  if (is_set) {
    refuse_near(resource, "/properties", kSet, findings);
  }
  refuse_near(resource, owner, kMachine, findings);
  refuse_near(resource, security, kSecurity, findings);
  refuse_near(resource, settings, kSettings, findings);
  refuse_near(resource, settings + "/imds", kEndpoint, findings);
  refuse_near(resource, settings + "/wireServer", kEndpoint, findings);
  refuse_unenabled(resource, settings, findings);
  refuse_unread(resource, settings + "/imds", findings);
  refuse_unread(resource, settings + "/wireServer", findings);
}

}  // namespace msp::gateway
