// SPDX-License-Identifier: Apache-2.0
// What the host reads before it knows the sender, and what it verifies. The first line of the input is an authorization
// header, claims and a path; the rest is a request: whatever the parser accepts can be signed, in one way only.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/check.h"
#include "http/target.h"
#include "protocol/authorization.h"
#include "protocol/headers.h"
#include "protocol/string_to_sign.h"

namespace {

using namespace msp::protocol;
namespace http = msp::http;

void check_first_line(std::string_view line) {
  if (const auto parsed = parse_authorization(line)) {
    FUZZ_CHECK(msp::fuzz::inside(parsed->guid, line) && is_lower_guid(parsed->guid));
    std::string again;
    format_authorization(parsed->guid, parsed->signature, again);
    FUZZ_CHECK(again == line);
  }
  if (const auto root = parse_claims(line)) {
    FUZZ_CHECK(claims_text(*root) == line);
  }
  if (const auto guid = parse_attestation_path(line)) {
    FUZZ_CHECK(attestation_path(*guid) == line);
  }
}

std::size_t distinct_signed_names(const http::HeaderList& headers) {
  std::size_t count = 0;
  for (const http::Header& header : headers) {
    const bool first = headers.find(header.name) == &header;
    count += first && !http::iequals(header.name, kAuthorizationHeader);
  }
  return count;
}

void check_request(std::string_view bytes) {
  http::RequestHead head;
  if (!http::parse_request_head(bytes, head).complete()) {
    return;
  }
  const auto target = http::parse_target(head.target);
  if (!target) {
    return;
  }
  (void)is_exempt(head.method, *target);
  const std::span<const http::Header> headers(head.headers.begin(), head.headers.size());
  StringToSign text;
  FUZZ_CHECK(text.build({.method = head.method, .path = target->path, .query = target->query, .headers = headers}));
  const std::string whole = text.with_body("");
  const auto lines = static_cast<std::size_t>(std::ranges::count(whole, '\n'));
  FUZZ_CHECK(lines == 3 + distinct_signed_names(head.headers));
  FUZZ_CHECK(text.before_body() == std::string(head.method) + "\n");

  // The canonical query is its own canonical form.
  const std::string query = whole.substr(whole.rfind('\n') + 1);
  FUZZ_CHECK(text.build({.method = head.method, .path = target->path, .query = query, .headers = headers}));
  FUZZ_CHECK(text.with_body("") == whole);

  // Where no name is repeated, the order of headers on the wire means nothing.
  if (distinct_signed_names(head.headers) == headers.size()) {
    const std::vector<http::Header> reversed(headers.rbegin(), headers.rend());
    FUZZ_CHECK(text.build({.method = head.method, .path = target->path, .query = query, .headers = reversed}));
    FUZZ_CHECK(text.with_body("") == whole);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = msp::fuzz::text(data, size);
  const std::size_t end = std::min(input.find('\n'), input.size());
  check_first_line(input.substr(0, end));
  check_request(input.substr(std::min(end + 1, input.size())));
  return 0;
}
