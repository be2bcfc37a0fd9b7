// SPDX-License-Identifier: Apache-2.0
#include "gateway/model_text.h"

#include <fmt/format.h>

namespace msp::gateway {

namespace {

/// `value` as the member `name` of an object, in place of the one that is there.
std::string with_member(std::string_view text, const json::Value& object, std::string_view name,
                        const std::string& value) {
  std::string out(text);
  if (const json::Value* known = object.find(name); known != nullptr) {
    return out.replace(known->begin, known->end - known->begin, value);
  }
  const bool alone = object.object()->members.empty();
  return out.insert(object.begin + 1, fmt::format("\"{}\":{}{}", name, value, alone ? "" : ","));
}

bool is_object(const json::Value* value) { return value != nullptr && value->object() != nullptr; }

}  // namespace

std::string with_incarnation(std::string_view text, const json::Value& tree, std::uint32_t incarnation,
                             std::string_view settings_at) {
  const json::Value* settings = tree.at(settings_at);
  return is_object(settings) ? with_member(text, *settings, "keyIncarnationId", std::to_string(incarnation))
                             : std::string();
}

std::string with_own_incarnation(std::string_view text, const json::Value& tree, std::uint32_t incarnation) {
  std::string value = fmt::format("{{\"keyIncarnationId\":{}}}", incarnation);
  const json::Value* properties = tree.at("/properties");
  const json::Value* security = tree.at("/properties/securityProfile");
  if (is_object(tree.at(kMachineSettings))) {
    return with_incarnation(text, tree, incarnation, kMachineSettings);
  }
  if (is_object(security)) {
    return with_member(text, *security, "proxyAgentSettings", value);
  }
  return is_object(properties)
             ? with_member(text, *properties, "securityProfile", fmt::format("{{\"proxyAgentSettings\":{}}}", value))
             : std::string();
}

}  // namespace msp::gateway
