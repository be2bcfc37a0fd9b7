// SPDX-License-Identifier: Apache-2.0
// Text as it may stand in the XML that guests are sent.
// Pure function; any thread.
// Never fails: what XML cannot hold at all becomes U+FFFD.
#pragma once

#include <string>
#include <string_view>

namespace msp::content {

/// For element content and for attribute values in either quotes. `text` may be any bytes.
std::string xml_text(std::string_view text);

}  // namespace msp::content
