// SPDX-License-Identifier: Apache-2.0
// Reason phrases of HTTP status codes.
// Pure; any thread.
// Unknown codes have the phrase "Unknown".
#pragma once

#include <string_view>

namespace msp::http {

std::string_view reason_phrase(int status);

}  // namespace msp::http
