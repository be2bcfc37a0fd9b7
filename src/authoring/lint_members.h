// SPDX-License-Identifier: Apache-2.0
// Members that nobody reads: what the author may have meant instead.
// Pure; any thread. Only lint's checks of the text itself use it.
// Nothing fails.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "authoring/finding.h"

namespace msp::authoring {

/// The member under which our own ones stand.
inline constexpr std::string_view kOurs = "openmsp";

/// Whose object it is: with fixed members, or a resource that has members of its own, which are nothing to tell.
enum class Members : std::uint8_t { kFixed, kOpen };

/// `name` is none of `known`, and stands at `pointer`.
void tell_unknown(std::string_view pointer, std::string_view name, std::span<const std::string_view> known,
                  Members members, Findings& findings);

}  // namespace msp::authoring
