// SPDX-License-Identifier: Apache-2.0
// The text of a resource, as somebody gave it: where resources stand in a document, and small changes that leave every
// other byte as it is. Pure functions; any thread.
// The texts come from operators and have been parsed before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace msp::gateway {

/// The resources of a document: itself, the items of an array, or those of {"value": […]} as list calls of ARM answer.
struct PlacedResource {
  const json::Value* value = nullptr;
  std::string pointer;
};
std::vector<PlacedResource> resources_of(const json::Value& document);

/// The bytes of a value in the text that it was parsed from.
std::string text_of(std::string_view text, const json::Value& value);

/// The model with this properties.securityProfile.proxyAgentSettings.keyIncarnationId. `tree` is what `text` parses to;
/// empty: there are no proxyAgentSettings.
std::string with_incarnation(std::string_view text, const json::Value& tree, std::uint32_t incarnation);

}  // namespace msp::gateway
