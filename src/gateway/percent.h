// SPDX-License-Identifier: Apache-2.0
// Percent-encoding of names and values in targets (RFC 3986).
// Pure function; any thread; bytes are from a client.
// What is malformed is nothing, never half of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace msp::gateway {

/// "%2F" and the like; a plus stays one.
std::optional<std::string> percent_decoded(std::string_view text);

}  // namespace msp::gateway
