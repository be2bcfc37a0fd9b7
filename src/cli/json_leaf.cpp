// SPDX-License-Identifier: Apache-2.0
#include "cli/json_leaf.h"

#include "base/log.h"

namespace msp::cli {

std::string leaf(const json::Value& of, std::string_view pointer) {
  const json::Value* value = of.at(pointer);
  if (value == nullptr || value->is_null()) {
    return "-";
  }
  return value->is_string() ? log::escape(*value->string()) : json::to_text(*value);
}

const json::Array& items(const json::Value& of, std::string_view name) {
  static const json::Array kNone;
  const json::Value* value = of.find(name);
  return value == nullptr || value->array() == nullptr ? kNone : *value->array();
}

}  // namespace msp::cli
