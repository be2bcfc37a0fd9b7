// SPDX-License-Identifier: Apache-2.0
// Request heads, targets and framing: the verdict does not depend on how bytes are split, views stay inside the input,
// and whatever is accepted can be written again and reads the same.
#include <string>

#include "fuzz/check.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/head_writer.h"
#include "http/target.h"

namespace {

using namespace msp::http;
using msp::fuzz::inside;

void check_accepted(std::string_view bytes, const RequestHead& head) {
  FUZZ_CHECK(is_token(head.method) && inside(head.method, bytes));
  FUZZ_CHECK(!head.target.empty() && inside(head.target, bytes));
  FUZZ_CHECK(head.minor_version == 0 || head.minor_version == 1);
  for (const Header& header : head.headers) {
    FUZZ_CHECK(is_token(header.name) && inside(header.name, bytes));
    FUZZ_CHECK(is_signable_value(header.value) && inside(header.value, bytes));
    FUZZ_CHECK(header.value.find_first_of("\r\n") == std::string_view::npos);
    FUZZ_CHECK(head.headers.count(header.name) >= 1 && head.headers.find(header.name) != nullptr);
  }
}

void check_target(const RequestHead& head) {
  const auto target = parse_target(head.target);
  if (!target) {
    FUZZ_CHECK(target.error().status == 400 || target.error().status == 414);
    return;
  }
  FUZZ_CHECK(target->form == TargetForm::kAuthority || !target->path.empty());
  FUZZ_CHECK(target->path == "/" || inside(target->path, head.target));
  FUZZ_CHECK(inside(target->query, head.target) && inside(target->authority, head.target));
  FUZZ_CHECK(target->has_query || target->query.empty());
  FUZZ_CHECK(target->path.find_first_of("?# ") == std::string_view::npos);
  FUZZ_CHECK(target->query.find_first_of("# ") == std::string_view::npos);
  if (target->form == TargetForm::kAuthority) {
    return;
  }
  std::string out;
  HeadWriter writer(out);
  writer.request_line(head.method, *target);
  FUZZ_CHECK(writer.finish().ok());
  RequestHead again;
  FUZZ_CHECK(parse_request_head(out, again).complete());
  const auto reparsed = parse_target(again.target);
  // "*" stays "*"; everything else is origin-form now.
  FUZZ_CHECK(reparsed && reparsed->path == target->path && reparsed->query == target->query);
  FUZZ_CHECK(reparsed->has_query == target->has_query);
}

void check_framing(const RequestHead& head) {
  const auto framing = request_framing(head);
  const std::size_t lengths = head.headers.count("content-length");
  const std::size_t encodings = head.headers.count("transfer-encoding");
  FUZZ_CHECK(framing || framing.error().status == 400);
  FUZZ_CHECK(!framing || lengths + encodings <= 1);
  FUZZ_CHECK(!framing || framing->kind != BodyKind::kUntilClose);
  FUZZ_CHECK(!framing || encodings == 0 || framing->kind == BodyKind::kChunked);
  (void)connection_options(head.headers);
  (void)expectation(head);
}

void check_written_again(const RequestHead& head) {
  std::string out;
  HeadWriter writer(out);
  writer.request_line(head.method, head.target);
  for (const Header& header : head.headers) {
    writer.header(header.name, header.value);
  }
  FUZZ_CHECK(writer.finish().ok());
  RequestHead again;
  const ParseResult result = parse_request_head(out, again);
  if (result.bad()) {
    FUZZ_CHECK(out.size() > kMaxHeadBytes);  // a blank behind each colon may not fit any more
    return;
  }
  FUZZ_CHECK(result.complete() && result.consumed == out.size());
  FUZZ_CHECK(again.method == head.method && again.target == head.target);
  FUZZ_CHECK(again.headers.size() == head.headers.size());
  for (std::size_t i = 0; i < head.headers.size(); ++i) {
    FUZZ_CHECK(iequals(again.headers[i].name, head.headers[i].name));
    FUZZ_CHECK(again.headers[i].value == head.headers[i].value);
  }
}

void check_prefixes(std::string_view bytes, const ParseResult& whole) {
  static RequestHead head;
  HeadProgress progress;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const ParseResult resumed = parse_request_head(bytes.substr(0, size), head, &progress);
    if (resumed.status != ParseStatus::kIncomplete) {
      FUZZ_CHECK(resumed.status == whole.status && resumed.consumed == whole.consumed);
      FUZZ_CHECK(resumed.refusal.code == whole.refusal.code);
      const ParseResult fresh = parse_request_head(bytes.substr(0, size), head);
      FUZZ_CHECK(fresh.status == whole.status && fresh.refusal.code == whole.refusal.code);
      return;
    }
  }
  FUZZ_CHECK(whole.status == ParseStatus::kIncomplete);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = msp::fuzz::text(data, size);
  static RequestHead head;
  const ParseResult whole = parse_request_head(bytes, head);
  if (whole.complete()) {
    FUZZ_CHECK(whole.consumed <= bytes.size() && bytes.substr(0, whole.consumed).ends_with("\r\n\r\n"));
    check_accepted(bytes, head);
    check_target(head);
    check_framing(head);
    check_written_again(head);
  } else if (whole.bad()) {
    FUZZ_CHECK(whole.refusal.status >= 400 && !whole.refusal.code.empty() && !whole.refusal.what.empty());
  }
  check_prefixes(bytes, whole);
  return 0;
}
