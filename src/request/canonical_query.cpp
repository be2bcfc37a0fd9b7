// SPDX-License-Identifier: Apache-2.0
#include "request/canonical_query.h"

#include <algorithm>
#include <functional>

#include "request/percent.h"

namespace msp::request {
namespace {

/// Decodes to `to`, which moves behind what was written.
Fault decode(std::string_view raw, char*& to, std::string_view& out) {
  const Decoded decoded = decode_and_fold<true>(raw, to);
  to += decoded.text.size();
  out = decoded.text;
  if (decoded.malformed) {
    return Fault::kCanonPct;
  }
  if ((decoded.saw & kSawHigh) != 0 && !is_utf8(decoded.text)) {
    return Fault::kCanonUtf8;
  }
  return (decoded.saw & kSawControl) != 0 ? Fault::kCanonCtrl : Fault::kNone;
}

/// Grouping by key is sorting by it with ties in order of appearance, and in that order values lie in the buffer.
bool before(const QueryPair& a, const QueryPair& b) {
  const int order = a.key.compare(b.key);
  return order != 0 ? order < 0 : std::less<const char*>{}(a.value.data(), b.value.data());
}

}  // namespace

Fault canonicalize_query(std::string_view raw, Arena& arena, CanonicalQuery& out) {
  out.pairs = {};
  if (raw.empty()) {
    return Fault::kNone;
  }
  const auto separators = static_cast<std::size_t>(std::count(raw.begin(), raw.end(), '&'));
  const std::span<QueryPair> pairs = arena.array<QueryPair>(separators + 1);
  char* to = arena.text(raw.size());
  std::size_t count = 0;
  while (!raw.empty()) {
    const std::size_t end = raw.find('&');
    const std::string_view part = raw.substr(0, end);
    raw.remove_prefix(end == std::string_view::npos ? raw.size() : end + 1);
    if (part.empty()) {
      continue;
    }
    const std::size_t equals = part.find('=');
    QueryPair pair;
    Fault fault = decode(part.substr(0, equals), to, pair.key);
    if (fault == Fault::kNone) {
      fault = decode(equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1), to, pair.value);
    }
    if (fault != Fault::kNone) {
      return fault;
    }
    if (!pair.key.empty()) {
      pairs[count++] = pair;
    }
  }
  out.pairs = pairs.first(count);
  if (!std::is_sorted(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(count), before)) {
    std::sort(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(count), before);
  }
  return Fault::kNone;
}

}  // namespace msp::request
