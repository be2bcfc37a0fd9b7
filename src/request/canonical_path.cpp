// SPDX-License-Identifier: Apache-2.0
#include "request/canonical_path.h"

#include "request/percent.h"

namespace msp::request {
namespace {

Fault check(const Decoded& decoded) {
  if (decoded.malformed) {
    return Fault::kCanonPct;
  }
  if ((decoded.saw & ~kSawSlash) == 0) {
    return Fault::kNone;
  }
  if ((decoded.saw & kSawHigh) != 0 && !is_utf8(decoded.text)) {
    return Fault::kCanonUtf8;
  }
  if ((decoded.saw & kSawControl) != 0) {
    return Fault::kCanonCtrl;
  }
  return (decoded.saw & kSawHigh) != 0 ? Fault::kCanonNonAscii : Fault::kCanonEmbeddedQuery;
}

}  // namespace

Fault canonicalize_path(std::string_view raw, Arena& arena, CanonicalPath& out) {
  const Decoded decoded = decode_and_fold<false>(raw, arena.text(raw.size()));
  if (const Fault fault = check(decoded); fault != Fault::kNone) {
    return fault;
  }
  const std::span<std::string_view> segments = arena.array<std::string_view>(decoded.slashes + 1);
  std::size_t count = 0;
  std::string_view rest = decoded.text;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    std::string_view segment = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    segment = segment.substr(0, segment.find(';'));
    if (segment.empty() || segment == ".") {
      continue;
    }
    if (segment != "..") {
      segments[count++] = segment;
    } else if (count-- == 0) {
      return Fault::kCanonUnderflow;
    }
  }
  out.segments = segments.first(count);
  out.trailing_slash = raw.size() > 1 && raw.back() == '/' && count > 0;
  return Fault::kNone;
}

}  // namespace msp::request
