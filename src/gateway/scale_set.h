// SPDX-License-Identifier: Apache-2.0
// Scale sets (protocol.md N): what the instances of one have in common, and how it comes to each of them.
// Pure functions of values; read when a set is applied, on the loop's thread; immutable afterwards.
// Unknown members are accepted; a known security setting that is wrong refuses the set.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/json_fields.h"
#include "gateway/model.h"

namespace msp::gateway {

/// Where a set's settings stand in it.
inline constexpr std::string_view kScaleSetSettings =
    "/properties/virtualMachineProfile/securityProfile/proxyAgentSettings";

struct ScaleSet {
  std::string name;
  std::string id;  ///< as written
  ProxyAgentSettings proxy_agent;
  json::Value document;  ///< the whole text as read
};

/// `tree` stands at the top; with any problem the set means nothing.
ScaleSet read_scale_set(const json::Value& tree, json::Problems& problems);

/// The id, in lower case, of the set that a machine's resource belongs to: its own id lies under it, or it names the
/// set as machines of flexible sets do. Empty: it stands for itself.
std::string scale_set_of(const json::Value& resource);
/// True for ".../virtualMachineScaleSets/NAME" and nothing below it; any case.
bool is_scale_set_id(std::string_view id);

/// The settings of an instance: those of its set, if it says whether they are enabled, else its own; with the higher
/// keyIncarnationId of both.
ProxyAgentSettings settings_of_instance(const ProxyAgentSettings& set, const ProxyAgentSettings& own);
/// The instance's document, with what it leaves out and its set says.
json::Value document_of_instance(const json::Value& instance, const ScaleSet& set);

}  // namespace msp::gateway
