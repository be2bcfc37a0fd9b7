// SPDX-License-Identifier: Apache-2.0
// Which build this program is of: monitor and worker must be of one.
// A constant, made anew whenever a source, a flag or the compiler of either program changes (cmake/MspBuild.cmake).
// Any thread. Never fails.
#pragma once

#include <string_view>

namespace msp::link {

/// "0.1.0+" and 16 hex digits.
std::string_view build();

}  // namespace msp::link
