// SPDX-License-Identifier: Apache-2.0
// Paths of requests and rules: the canonical form is that of the reference, holds nothing that a second reading would
// read differently, and is its own canonical form; what leads to the secure channel is seen.
#include "request/canonical_path.h"
#include <algorithm>

#include "fuzz/check.h"
#include "request/traversal.h"
#include "tests/policy/reference_text.h"

namespace {

using namespace msp::request;
namespace reference = msp::test::reference;

void check_segment(std::string_view segment) {
  FUZZ_CHECK(!segment.empty() && segment != "." && segment != "..");
  FUZZ_CHECK(segment.find_first_of("/;?") == std::string_view::npos);
  for (const char c : segment) {
    FUZZ_CHECK(static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f);
    FUZZ_CHECK(c < 'A' || c > 'Z');
  }
}

void check_again(const CanonicalPath& once, const reference::Path& expected) {
  Arena arena;
  CanonicalPath twice;
  const std::string rendered = reference::render(expected);
  FUZZ_CHECK(canonicalize_path(rendered, arena, twice) == Fault::kNone);
  FUZZ_CHECK(std::ranges::equal(twice.segments, once.segments) && twice.trailing_slash == once.trailing_slash);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view raw = msp::fuzz::text(data, size);
  Arena arena;
  CanonicalPath path;
  const Fault fault = canonicalize_path(raw, arena, path);
  const reference::Path expected = reference::canonical_path(raw);
  FUZZ_CHECK(canon_name(fault) == expected.fault);
  const bool traversal = has_traversal(raw);
  const bool to_channel = reaches_secure_channel(raw);
  FUZZ_CHECK(!raw.contains("//") || traversal);
  if (fault != Fault::kNone) {
    return 0;
  }
  FUZZ_CHECK(std::ranges::equal(path.segments, expected.segments));
  FUZZ_CHECK(path.trailing_slash == expected.trailing_slash);
  for (const std::string_view segment : path.segments) {
    check_segment(segment);
  }
  check_again(path, expected);
  FUZZ_CHECK(to_channel || path.segments.empty() || path.segments.front() != "secure-channel");
  return 0;
}
