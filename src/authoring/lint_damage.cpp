// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint_damage.h"

#include <algorithm>
#include <array>

namespace msp::authoring {
namespace {

constexpr std::array<std::string_view, 4> kSections{"/rules/privileges", "/rules/roles", "/rules/identities",
                                                    "/rules/roleAssignments"};

bool at_or_below(std::string_view place, std::string_view top) {
  return place.starts_with(top) && (place.size() == top.size() || place[top.size()] == '/');
}

/// "/rules/roles/3" of what stands there or below; empty elsewhere.
std::string_view element_of(std::string_view place) {
  const auto* const section =
      std::ranges::find_if(kSections, [&](std::string_view name) { return at_or_below(place, name); });
  if (section == kSections.end() || place.size() == section->size()) {
    return {};
  }
  return place.substr(0, place.find('/', section->size() + 1));
}

/// Whose names a reference at this place is looked up in; empty: it is none.
std::string_view referred_to(std::string_view place) {
  const std::string_view element = element_of(place);
  const std::string_view member = place.substr(element.size());
  if (element.starts_with("/rules/roles/")) {
    return member.starts_with("/privileges/") ? "/rules/privileges" : "";
  }
  if (element.starts_with("/rules/roleAssignments/")) {
    return member == "/role" ? "/rules/roles" : member.starts_with("/identities/") ? "/rules/identities" : "";
  }
  return {};
}

/// Where the uses stand that a finding of this code has not found; empty: it is about none.
std::string_view used_in(std::string_view code) {
  if (code == "privilege-in-no-role") {
    return "/rules/roles";
  }
  return code == "role-unassigned" || code == "identity-unused" ? "/rules/roleAssignments" : "";
}

}  // namespace

bool Damage::total() const { return std::ranges::find(places_, item_) != places_.end(); }

bool Damage::touches(std::string_view place) const {
  const std::string whole = item_ + std::string(place);
  return std::ranges::any_of(places_, [&](const std::string& broken) { return at_or_below(broken, whole); });
}

bool Damage::related(std::string_view place) const {
  const std::string whole = item_ + std::string(place);
  return touches(place) ||
         std::ranges::any_of(places_, [&](const std::string& broken) { return at_or_below(whole, broken); });
}

bool Damage::lost_section() const {
  return std::ranges::any_of(places_, [&](std::string_view broken) {
    broken.remove_prefix(item_.size());
    return broken == "/rules" || std::ranges::find(kSections, broken) != kSections.end();
  });
}

bool Damage::lost_names(std::string_view section) const {
  return std::ranges::any_of(places_, [&](std::string_view broken) {
    broken.remove_prefix(item_.size());
    const std::string_view element = element_of(broken);
    return broken == "/rules" || broken == section ||
           (at_or_below(broken, section) && (broken == element || broken.substr(element.size()) == "/name"));
  });
}

/// Of a deny, everything that it names must have been read to tell that something is not there.
bool Damage::refusal_stands(std::string_view place) const {
  if (place.contains("/openmsp") || !(place == "/rules" || place.starts_with("/rules/roleAssignments"))) {
    return true;
  }
  return !touches("/rules/roles") && !touches("/rules/roleAssignments") && !lost_names("/rules/privileges") &&
         !lost_names("/rules/identities");
}

bool Damage::passes(Severity severity, std::string_view code, std::string_view pointer) const {
  if (places_.empty() || !pointer.starts_with(item_)) {
    return true;
  }
  const std::string_view place = pointer.substr(item_.size());
  if (code == "openmsp-refused" || code == "openmsp-for-field") {
    return refusal_stands(place);
  }
  if (code == "world-open" || code == "world-closed") {
    return !lost_section() && !related(place);
  }
  if (const std::string_view uses = used_in(code); !uses.empty() && touches(uses)) {
    return false;
  }
  if (const std::string_view names = referred_to(place); !names.empty() && lost_names(names)) {
    return false;
  }
  // A warning is about an element as a whole: an identity of which one field is lost seems to be more callers.
  const std::string_view element = element_of(place);
  return !related(severity == Severity::kError || element.empty() ? place : element);
}

}  // namespace msp::authoring
