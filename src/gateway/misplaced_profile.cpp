// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "gateway/misplaced_parts.h"
#include "gateway/trail.h"

namespace msp::gateway {

using json::Member;
using json::Value;

void refuse_in_profile(const Value& resource, ResourceKind kind, Findings& findings) {
  static constexpr std::array<std::string_view, 3> kRoot{"id", "type", "properties"};
  static constexpr std::array<std::string_view, 3> kVersion{"mode", "defaultAccess", "rules"};
  static constexpr std::array<std::string_view, 4> kRules{"privileges", "roles", "identities", "roleAssignments"};
  refuse_spellings(resource, kRoot, findings);
  const bool is_version = kind == ResourceKind::kProfileVersion;
  const auto refuse_at = [&](const std::string& at, std::span<const std::string_view> names, std::string_view owner) {
    const Value* const value = resource.at(at);
    if (value == nullptr || value->object() == nullptr) {
      return;
    }
    for (const Member& member : value->object()->members) {
      for (const std::string_view name : names) {
        if (!member.value.is_null() && same_name(member.name, name)) {
          findings.add(pointer_under(at, member.name), member.begin,
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
    refuse_near(resource, "/properties", kVersion, findings);
  } else {
    refuse_at("/properties", kVersion, "properties");
  }
}

}  // namespace msp::gateway
