// SPDX-License-Identifier: Apache-2.0
// Small changes of the text of a model that leave every other byte as it is.
// Pure functions; any thread.
// The texts come from operators and have been parsed before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.h"

namespace msp::gateway {

/// Where the settings of a machine stand in it.
inline constexpr std::string_view kMachineSettings = "/properties/securityProfile/proxyAgentSettings";

/// The model with this keyIncarnationId in its settings. `tree` is what `text` parses to; empty: there are no settings.
std::string with_incarnation(std::string_view text, const json::Value& tree, std::uint32_t incarnation,
                             std::string_view settings_at);
/// The same of a machine, whose settings are made where there are none. Empty: it has no properties.
std::string with_own_incarnation(std::string_view text, const json::Value& tree, std::uint32_t incarnation);

}  // namespace msp::gateway
