// SPDX-License-Identifier: Apache-2.0
// Documents of Azure Resource Manager: where resources stand in them, and their bytes.
// Pure functions; any thread.
// Nothing fails: what is no list is one resource, whatever it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace msp {

/// The resources of a document: itself, the items of an array, or those of {"value": […]} as list calls of ARM answer.
struct PlacedResource {
  const json::Value* value = nullptr;
  std::string pointer;
};
std::vector<PlacedResource> resources_of(const json::Value& document);

/// The bytes of a value in the text that it was parsed from.
std::string text_of(std::string_view text, const json::Value& value);

}  // namespace msp
