// SPDX-License-Identifier: Apache-2.0
// Text folding of the legacy matcher, byte-compatible with the existing agent (protocol.md E.2.5, E.3).
// Pure functions over caller-owned buffers; any thread. Input may be any bytes from the client.
// Nothing fails: what is not UTF-8 becomes U+FFFD (one per maximal ill-formed part), bad escapes stay as text.
#pragma once

#include <memory_resource>
#include <string>
#include <string_view>

namespace msp::policy {

/// Full Unicode lower-casing, not locale dependent: U+0130 becomes two characters, a capital sigma that ends a word
/// becomes a final sigma. Ill-formed UTF-8 is replaced as above.
void append_lower(std::string_view text, std::pmr::string& out);
std::string lower(std::string_view text);

/// Percent-decodes once, then lower-cases as above: a request's path, or one key or value of its query.
/// Appends to `out`; needs no memory beyond it for ASCII without escapes.
void append_decoded_lower(std::string_view raw, std::pmr::string& out);

/// Whether append_decoded_lower(raw) would give `text`; takes no memory unless a character outside ASCII is met.
bool equals_decoded_lower(std::string_view raw, std::string_view text);

}  // namespace msp::policy
