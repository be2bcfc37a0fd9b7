// SPDX-License-Identifier: Apache-2.0
// Response heads and their framing: same verdict for every split, views inside the input, values that cannot split a
// message when they are passed on.
#include <string>

#include "fuzz/check.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/head_writer.h"

namespace {

using namespace msp::http;

void check_accepted(std::string_view bytes, const ResponseHead& head) {
  FUZZ_CHECK(head.status >= 100 && head.status <= 599);
  FUZZ_CHECK(msp::fuzz::inside(head.reason, bytes));
  std::string out;
  HeadWriter writer(out);
  writer.status_line(head.status, head.minor_version, head.reason);
  for (const Header& header : head.headers) {
    FUZZ_CHECK(msp::fuzz::inside(header.name, bytes) && msp::fuzz::inside(header.value, bytes));
    writer.header(header.name, header.value);
  }
  FUZZ_CHECK(writer.finish().ok());
  static ResponseHead again;
  const ParseResult result = parse_response_head(out, again);
  FUZZ_CHECK(result.complete() || out.size() > kMaxHeadBytes);
  if (result.complete()) {
    FUZZ_CHECK(again.status == head.status && again.headers.size() == head.headers.size());
  }
  for (const std::string_view method : {"GET", "HEAD"}) {
    const auto framing = response_framing(head, method);
    FUZZ_CHECK(framing || framing.error().status == 502);
    FUZZ_CHECK(!framing || method == "GET" || framing->kind == BodyKind::kNone);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = msp::fuzz::text(data, size);
  static ResponseHead head;
  const ParseResult whole = parse_response_head(bytes, head);
  if (whole.complete()) {
    check_accepted(bytes, head);
  } else if (whole.bad()) {
    FUZZ_CHECK(whole.refusal.status == 502 && !whole.refusal.code.empty());
  }
  static ResponseHead other;
  HeadProgress progress;
  for (std::size_t prefix = 0; prefix <= bytes.size(); ++prefix) {
    const ParseResult part = parse_response_head(bytes.substr(0, prefix), other, &progress);
    if (part.status != ParseStatus::kIncomplete) {
      FUZZ_CHECK(part.status == whole.status && part.consumed == whole.consumed);
      FUZZ_CHECK(part.refusal.code == whole.refusal.code);
      return 0;
    }
  }
  FUZZ_CHECK(whole.status == ParseStatus::kIncomplete);
  return 0;
}
