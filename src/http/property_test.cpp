// SPDX-License-Identifier: Apache-2.0
// What holds for all inputs, tried with random ones. RC_PARAMS="max_success=100000" for a long run.
#include <string>
#include <vector>

#include "http/chunked.h"
#include "http/date.h"
#include "http/framing.h"
#include "http/head.h"
#include "http/head_writer.h"
#include "http/target.h"
#include "tests/support/rapidcheck.h"

namespace msp::http {
namespace {

rc::Gen<std::string> text_of(const std::string& alphabet) {
  return rc::gen::container<std::string>(rc::gen::elementOf(alphabet));
}

rc::Gen<std::string> token() { return rc::gen::nonEmpty(text_of("abcXYZ019-_.!#$%&'*+^`|~")); }

RC_GTEST_PROP(HttpProperty, WhatTheWriterWritesTheParserReads, ()) {
  const auto method = *token();
  const auto path = "/" + *text_of("abz/.;%+=!\"{}|~@[]");
  const auto names = *rc::gen::container<std::vector<std::string>>(token());
  const auto value = *text_of("ab z\t09:;,\"=~");
  std::string out;
  HeadWriter writer(out);
  writer.request_line(method, path);
  const std::size_t count = std::min(names.size(), kMaxHeaders);
  for (std::size_t i = 0; i < count; ++i) {
    writer.header(names[i], value);
  }
  RC_ASSERT(writer.finish().ok());
  const std::size_t size = out.size();
  out += "rest";
  RequestHead head;
  const ParseResult result = parse_request_head(out, head);
  RC_ASSERT(result.complete());
  RC_ASSERT(result.consumed == size);
  RC_ASSERT(head.method == method);
  RC_ASSERT(head.target == path);
  RC_ASSERT(head.headers.size() == count);
  for (std::size_t i = 0; i < count; ++i) {
    RC_ASSERT(iequals(head.headers[i].name, names[i]));
  }
}

RC_GTEST_PROP(HttpProperty, AcceptedHeadsHoldNothingThatCouldSplitThem, ()) {
  const auto noise = *text_of(std::string("GET /:HTP1.\r\n\t ,;\0\x80", 20));
  const std::string bytes = *rc::gen::element<std::string>("GET / HTTP/1.1\r\n", "GET ", "") + noise + "\r\n\r\n";
  RequestHead head;
  const ParseResult result = parse_request_head(bytes, head);
  if (result.complete()) {
    RC_ASSERT(is_token(head.method));
    for (const Header& header : head.headers) {
      RC_ASSERT(is_token(header.name));
      RC_ASSERT(is_signable_value(header.value));
    }
  }
}

RC_GTEST_PROP(HttpProperty, ChunksDecodeToWhatWasEncodedForAnySplit, ()) {
  const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::nonEmpty<std::string>());
  std::string wire;
  std::string body;
  for (const std::string& piece : pieces) {
    char size[24];
    ASSERT_GT(snprintf(size, sizeof(size), "%zX\r\n", piece.size()), 0);
    wire += size + piece + "\r\n";
    body += piece;
  }
  wire += "0\r\n\r\n";
  const auto step_size = *rc::gen::inRange<std::size_t>(1, 20);
  ChunkedDecoder decoder;
  std::string decoded;
  for (std::size_t from = 0; from < wire.size(); from += step_size) {
    std::string_view piece = std::string_view(wire).substr(from, step_size);
    while (!piece.empty()) {
      const auto step = decoder.next(piece);
      RC_ASSERT(step.event != ChunkedDecoder::Event::kBad);
      decoded += step.data;
      piece.remove_prefix(step.consumed);
    }
  }
  RC_ASSERT(decoder.done());
  RC_ASSERT(decoded == body);
}

RC_GTEST_PROP(HttpProperty, LengthsReadBackOrAreRefused, (const std::string& text)) {
  std::uint64_t length = 0;
  if (parse_length(text, length)) {
    RC_ASSERT(std::to_string(length) == text);
  }
}

RC_GTEST_PROP(HttpProperty, LengthsOfNumbersAreTaken, (std::uint64_t value)) {
  std::uint64_t length = 0;
  RC_ASSERT(parse_length(std::to_string(value), length) == (value <= INT64_MAX));
}

RC_GTEST_PROP(HttpProperty, AcceptedTargetsAreMadeOfTheirParts, ()) {
  const auto raw = *text_of("ahtp:/.?#*@%[]-{|\x01\"<");
  const auto target = parse_target(raw);
  if (target) {
    std::string again;
    if (target->form == TargetForm::kAbsolute) {
      again = std::string(target->scheme) + "://";
    }
    again += std::string(target->authority);
    const std::string uncut = raw.substr(0, raw.find('#'));
    const bool invented = target->form == TargetForm::kAbsolute && !uncut.starts_with(again + "/");
    again += invented ? "" : std::string(target->path);
    again += target->has_query ? "?" + std::string(target->query) : "";
    RC_ASSERT(again == uncut);
  }
}

RC_GTEST_PROP(HttpProperty, DatesReadBack, ()) {
  const auto seconds = *rc::gen::inRange<std::int64_t>(-62'167'219'200, 253'402'300'800);
  const DateText text = format_date(seconds);
  RC_ASSERT(parse_date({text.data(), text.size()}) == seconds);
}

}  // namespace
}  // namespace msp::http
