// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "gateway/misplaced_parts.h"
#include "gateway/trail.h"

namespace msp::gateway {
namespace {

using json::Member;
using json::Value;

/// What a version says, and where it is read.
struct Said {
  std::string_view name;
  std::string_view at;
};

constexpr auto kSaid = std::to_array<Said>({{"mode", "/properties/mode"},
                                            {"defaultAccess", "/properties/defaultAccess"},
                                            {"rules", "/properties/rules"},
                                            {"privileges", "/properties/rules/privileges"},
                                            {"roles", "/properties/rules/roles"},
                                            {"identities", "/properties/rules/identities"},
                                            {"roleAssignments", "/properties/rules/roleAssignments"}});
constexpr std::string_view kAnySection = "/properties/rules/privileges";

std::string dotted(std::string_view place) {
  std::string out(place.substr(1));
  std::ranges::replace(out, '/', '.');
  return out;
}

/// All places of a version or of a profile, but what is in a section of the rules, where names are the operator's.
class Search {
 public:
  Search(bool is_version, Findings& findings) : is_version_(is_version), findings_(findings) {}

  bool operator()(const Member& member, const Trail& trail) {
    if (member.value.is_null() || trail.is("/tags")) {
      return false;
    }
    const auto* const said =
        std::ranges::find_if(kSaid, [&](const Said& known) { return same_name(known.name, member.name); });
    if (said != kSaid.end() && !(is_version_ && trail.is(said->at))) {
      findings_.add(findings_.full() ? std::string() : trail.pointer(), member.begin,
                    fmt::format("is not read here: {} {}", is_version_ ? "put it at" : "it belongs to a version, at",
                                dotted(said->at)));
      return false;
    }
    return !(is_version_ && trail.is_beside(kAnySection));
  }

 private:
  bool is_version_;
  Findings& findings_;
};

bool allows_by_default(const Value& version) {
  const Value* const access = version.at("/properties/defaultAccess");
  return access != nullptr && access->is_string() && same_name(*access->string(), "allow");
}

/// Rules that name no privilege hold for no request.
void refuse_without_privileges(const Value& version, Findings& findings) {
  const Value* const rules = version.at("/properties/rules");
  if (rules == nullptr || rules->object() == nullptr) {
    return;
  }
  const auto says_something = [](const Member& member) {
    return !member.value.is_null() && (member.value.array() == nullptr || !member.value.array()->empty());
  };
  const auto names_some = [&](const Member& member) { return member.name == "privileges" && says_something(member); };
  const auto& members = rules->object()->members;
  if (std::ranges::any_of(members, says_something) && std::ranges::none_of(members, names_some)) {
    findings.add("/properties/rules/privileges", rules->begin,
                 "names none: without them these rules close nothing, and the default is to allow");
  }
}

}  // namespace

void refuse_in_profile(const Value& resource, ResourceKind kind, Findings& findings) {
  static constexpr std::array<std::string_view, 3> kRoot{"id", "type", "properties"};
  static constexpr std::array<std::string_view, 3> kVersion{"mode", "defaultAccess", "rules"};
  static constexpr std::array<std::string_view, 4> kRules{"privileges", "roles", "identities", "roleAssignments"};
  refuse_spellings(resource, kRoot, findings);
  const bool is_version = kind == ResourceKind::kProfileVersion;
  Trail trail;
  Search search(is_version, findings);
  walk(resource, trail, search);
  if (is_version) {
    refuse_near(resource, "/properties", kVersion, findings);
  }
  // A section that nobody reads closes nothing; where the default is to deny, it opens nothing.
  if (is_version && allows_by_default(resource)) {
    refuse_near(resource, "/properties/rules", kRules, findings);
    refuse_without_privileges(resource, findings);
  }
}

}  // namespace msp::gateway
