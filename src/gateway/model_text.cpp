// SPDX-License-Identifier: Apache-2.0
#include "gateway/model_text.h"

#include <fmt/format.h>

namespace msp::gateway {

std::string with_incarnation(std::string_view text, const json::Value& tree, std::uint32_t incarnation) {
  const json::Value* settings = tree.at("/properties/securityProfile/proxyAgentSettings");
  if (settings == nullptr || settings->object() == nullptr) {
    return {};
  }
  std::string out(text);
  if (const json::Value* known = settings->find("keyIncarnationId"); known != nullptr) {
    return out.replace(known->begin, known->end - known->begin, std::to_string(incarnation));
  }
  const bool alone = settings->object()->members.empty();
  return out.insert(settings->begin + 1, fmt::format("\"keyIncarnationId\":{}{}", incarnation, alone ? "" : ","));
}

}  // namespace msp::gateway
