// SPDX-License-Identifier: Apache-2.0
// The one normal form of a query (protocol.md F, steps 12 and 13): of requests, and of the rules they are compared
// with. Pure functions; any thread. The result points into the caller's arena. Returns the first fault in the order of
// section F; the result is then not to be used.
#pragma once

#include <span>
#include <string_view>

#include "request/arena.h"
#include "request/fault.h"

namespace msp::request {

/// Decoded once, '+' as a blank, ASCII lower-case; the key is not empty.
struct QueryPair {
  std::string_view key;
  std::string_view value;

  bool operator==(const QueryPair&) const = default;
};

struct CanonicalQuery {
  /// Keys in byte order, values of one key in order of appearance.
  std::span<const QueryPair> pairs;
};

/// `raw`: bytes from the client or from a rule, without the '?'.
Fault canonicalize_query(std::string_view raw, Arena& arena, CanonicalQuery& out);

}  // namespace msp::request
