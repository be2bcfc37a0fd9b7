// SPDX-License-Identifier: Apache-2.0
// The part of a conversion that is about the resources which hold rules: what of them stays, and what does not.
// Pure; any thread. Only convert.cpp uses it.
// A version of which nobody says where it belongs is an Error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "authoring/convert.h"
#include "authoring/convert_parts.h"

namespace msp::authoring {

/// A profile for the service, as nobody has described one.
json::Value new_profile(const std::string& id, Service service);
/// One resource with id, name, type and properties.
json::Value new_resource(const std::string& id, std::string_view type, json::Object properties);

/// Resources with another mode or id, or those of one service alone. All else in them is as it was.
Result<json::Value> rewrite_resources(const RuleText& text, const std::vector<RulePart>& parts,
                                      const ConvertOptions& options, std::vector<std::string>& notes);

/// Takes what belongs to the resource out of a version's properties. Returns the names of all that the version and its
/// profile say beside rules and ids: "tags, osType of the profile".
std::string drop_resource_members(const RuleText& text, const RulePart& part, json::Object& properties);

}  // namespace msp::authoring
