// SPDX-License-Identifier: Apache-2.0
#include "http/head_reader.h"

namespace msp::http {
namespace {

template <class Head, ParseResult (*kParse)(std::string_view, Head&, HeadProgress*)>
Task<HeadRead> read_head(Stream& stream, Buffer& buffer, Head& head, Deadline deadline) {
  HeadProgress progress;
  HeadRead out;
  for (;;) {
    out.any_bytes = !buffer.empty();
    if (out.any_bytes) {
      const ParseResult parsed = kParse(buffer.readable(), head, &progress);
      if (parsed.status != ParseStatus::kIncomplete) {
        out.status = parsed.bad() ? HeadStatus::kBad : HeadStatus::kComplete;
        out.size = parsed.consumed;
        out.refusal = parsed.refusal;
        co_return out;
      }
    }
    if (buffer.writable().size() < Buffer::kCapacity / 2) {
      buffer.compact();
    }
    const IoResult read = co_await stream.read_some(buffer.writable(), deadline);
    if (read.ok()) {
      buffer.commit(read.bytes);
      continue;
    }
    out.code = read.code;
    if (read.status == IoStatus::kEof) {
      out.status = out.any_bytes ? HeadStatus::kEof : HeadStatus::kClosed;
    } else {
      out.status = read.status == IoStatus::kTimeout ? HeadStatus::kTimeout : HeadStatus::kError;
    }
    co_return out;
  }
}

}  // namespace

Task<HeadRead> read_request_head(Stream& stream, Buffer& buffer, RequestHead& head, Deadline deadline) {
  return read_head<RequestHead, parse_request_head>(stream, buffer, head, deadline);
}

Task<HeadRead> read_response_head(Stream& stream, Buffer& buffer, ResponseHead& head, Deadline deadline) {
  return read_head<ResponseHead, parse_response_head>(stream, buffer, head, deadline);
}

}  // namespace msp::http
