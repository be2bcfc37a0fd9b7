// SPDX-License-Identifier: Apache-2.0
// Numbers and GUIDs that stand for a text: the same text, the same one, and nothing to store.
// Pure functions; any thread.
// Never fails.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace msp::content {

/// In the 36-character form, lower case.
std::string guid_of(std::string_view text);
/// Of 64 bits.
std::uint64_t number_of(std::string_view text);

}  // namespace msp::content
