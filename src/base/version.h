// SPDX-License-Identifier: Apache-2.0
// The version of this build.
// A constant; any thread.
// Never fails.
#pragma once

#include <string_view>

namespace msp {

/// "0.1.0".
std::string_view version();

}  // namespace msp
