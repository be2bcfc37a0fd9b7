// SPDX-License-Identifier: Apache-2.0
// Text of a host's answer from its bytes and Content-Type (protocol.md B.2).
// Pure functions; any thread. The whole body at once, so no character is ever cut in two (L.22).
// UTF-32, XML and UTF-16 of odd length are refused, lone surrogates become U+FFFD; UTF-8 is passed on as it is, its
// reader replaces what is invalid.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::protocol {

/// UTF-8 unless the Content-Type (any case) names utf-16, which means little endian. Errors are of Source::kHost.
Result<std::string> text_of_body(std::string_view body, std::string_view content_type);

}  // namespace msp::protocol
