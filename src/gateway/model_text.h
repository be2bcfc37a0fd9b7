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

/// The model with this properties.securityProfile.proxyAgentSettings.keyIncarnationId. `tree` is what `text` parses to;
/// empty: there are no proxyAgentSettings.
std::string with_incarnation(std::string_view text, const json::Value& tree, std::uint32_t incarnation);

}  // namespace msp::gateway
