// SPDX-License-Identifier: Apache-2.0
#include "base/arm_document.h"

#include <fmt/core.h>

namespace msp {

std::vector<PlacedResource> resources_of(const json::Value& document) {
  const json::Value* list = document.array() != nullptr ? &document : document.find("value");
  if (list == nullptr || list->array() == nullptr) {
    return {{.value = &document, .pointer = {}}};
  }
  std::vector<PlacedResource> found;
  found.reserve(list->array()->size());
  const std::string_view prefix = list == &document ? "" : "/value";
  for (std::size_t i = 0; i < list->array()->size(); ++i) {
    found.push_back({.value = &(*list->array())[i], .pointer = fmt::format("{}/{}", prefix, i)});
  }
  return found;
}

std::string text_of(std::string_view text, const json::Value& value) {
  return std::string(text.substr(value.begin, value.end - value.begin));
}

}  // namespace msp
