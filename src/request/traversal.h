// SPDX-License-Identifier: Apache-2.0
// Checks of the raw path that come before any decision (protocol.md J and J.2, row 6, and the closed secure channel).
// Pure functions; any thread. Input: path bytes from the client, percent-encoded; malformed escapes count as text here.
// They answer yes or no; the caller refuses with Fault::kPathTraversal or Fault::kSecureChannel (403).
#pragma once

#include <string_view>

namespace msp::request {

/// Ours: `..` as a whole segment, or `//`, before or after one decode. `a..b` is no traversal.
bool has_traversal(std::string_view raw_path);

/// The field's: `//` before decoding, `..` anywhere after. Kept for comparison; nothing is refused by it.
bool has_traversal_in_the_field(std::string_view raw_path);

/// Whether some reader could take the path for one below /secure-channel: any case, decoded once, a backslash
/// for a slash, blanks and control characters trimmed, empty and `.` segments skipped, matrix parameters cut; behind
/// anything that begins with `..` wherever it stands.
bool reaches_secure_channel(std::string_view raw_path);

}  // namespace msp::request
