// SPDX-License-Identifier: Apache-2.0
// Whether a name that is not known was meant for one that is.
// Pure function; any thread; names of any bytes.
// Never fails.
#pragma once

#include <string_view>

namespace msp::gateway {

/// True for a name that is mistyped by a letter or two (one for names of up to four letters). Not for the same name, in
/// any case. The work is bounded by the length of the known one.
bool is_mistyped(std::string_view name, std::string_view known);

/// The same, or one begins or ends as the other does.
bool is_near_name(std::string_view name, std::string_view known);

}  // namespace msp::gateway
