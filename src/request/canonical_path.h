// SPDX-License-Identifier: Apache-2.0
// The one normal form of a path (protocol.md F, steps 5 to 11): of requests, and of the rules they are compared with.
// Pure functions; any thread. The result points into the caller's arena.
// Returns the first fault in the order of section F; the result is then not to be used.
#pragma once

#include <span>
#include <string_view>

#include "request/arena.h"
#include "request/fault.h"

namespace msp::request {

struct CanonicalPath {
  /// Decoded once, ASCII lower-case, without matrix parameters, empty, `.` and `..` segments.
  std::span<const std::string_view> segments;
  bool trailing_slash = false;
};

/// `raw`: bytes from the client or from a rule, percent-encoded; an empty one counts as "/".
Fault canonicalize_path(std::string_view raw, Arena& arena, CanonicalPath& out);

}  // namespace msp::request
