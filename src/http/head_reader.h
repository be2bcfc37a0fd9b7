// SPDX-License-Identifier: Apache-2.0
// Reads one head from a stream into a buffer and parses it.
// Called by the coroutine that owns stream and buffer; the head's views point into the buffer, so neither compact() nor
// write to it before the head is done with (a BodyReader reads behind the head only after consume()).
// Failures are values: refused bytes, deadline, end of stream.
#pragma once

#include "base/stream.h"
#include "base/task.h"
#include "http/buffer.h"
#include "http/head.h"

namespace msp::http {

enum class HeadStatus : unsigned char {
  kComplete,
  kClosed,   ///< the peer closed before the first byte of a head
  kEof,      ///< the peer closed inside the head
  kTimeout,  ///< no complete head before the deadline; `any_bytes` tells whether one had begun
  kBad,      ///< `refusal`
  kError     ///< socket error or cancelled stream; `code` is the errno value or 0
};

struct HeadRead {
  HeadStatus status = HeadStatus::kComplete;
  std::size_t size = 0;  ///< kComplete: bytes of the head, still readable at the front of the buffer
  bool any_bytes = false;
  Refusal refusal;
  int code = 0;
};

/// Bytes already in the buffer are looked at first (pipelining). `buffer` holds a block.
Task<HeadRead> read_request_head(Stream& stream, Buffer& buffer, RequestHead& head, Deadline deadline);
Task<HeadRead> read_response_head(Stream& stream, Buffer& buffer, ResponseHead& head, Deadline deadline);

}  // namespace msp::http
