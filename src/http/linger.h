// SPDX-License-Identifier: Apache-2.0
// Closing without losing the answer just written.
// Called by the coroutine that owns the stream, as its last act.
// Never fails: whatever happens, the stream is to be destroyed afterwards.
#pragma once

#include "base/stream.h"
#include "base/task.h"
#include "http/buffer.h"

namespace msp::http {

/// Ends the sending side and drops what the peer (untrusted) still sends, until it closes, at most `max_bytes` or until
/// the deadline. Closing with unread bytes would make the kernel reset the connection, and the peer might never see its
/// answer.
Task<void> linger(Stream& stream, Buffer& scratch, Deadline deadline, std::size_t max_bytes = std::size_t{1024} * 1024);

}  // namespace msp::http
