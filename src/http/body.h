// SPDX-License-Identifier: Apache-2.0
// Reads a message body piece by piece from a stream, through the buffer that already holds the bytes behind the head.
// Owned by one coroutine on the loop's thread; stream and buffer must outlive it. Reading overwrites what was consumed,
// so whoever still needs the views of the head reads the body through another buffer (Buffer::split). Stops exactly at
// the body's end: bytes of a following message stay in the buffer. Untrusted input: limits are the caller's.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "base/stream.h"
#include "base/task.h"
#include "http/buffer.h"
#include "http/chunked.h"
#include "http/framing.h"

namespace msp::http {

enum class BodyStatus : unsigned char {
  kPiece,     ///< `data` holds 1 or more bytes
  kEnd,       ///< the body is complete
  kTimeout,   ///< nothing came before the deadline
  kEof,       ///< the peer closed inside the body
  kBad,       ///< `refusal` says why (chunked only)
  kTooLarge,  ///< more than the limit; nothing beyond it was handed out
  kError      ///< socket error or cancelled stream; `code` is the errno value or 0
};

struct BodyPiece {
  BodyStatus status = BodyStatus::kEnd;
  std::string_view data;  ///< decoded bytes inside the buffer, valid until the next call
  Refusal refusal;
  int code = 0;
};

class BodyReader {
 public:
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

  /// `buffer` holds a block; its readable bytes are the first of the body. `limit`: decoded bytes.
  BodyReader(Stream& stream, Buffer& buffer, Framing framing, std::uint64_t limit = kUnlimited);

  /// What can be had without reading from the socket; nothing if more bytes are needed.
  std::optional<BodyPiece> try_next();

  class Next;
  /// co_await it: a BodyPiece. Takes no coroutine frame when the bytes are there already. Every answer but kPiece is
  /// final.
  Next next(Deadline deadline);

  std::uint64_t received() const { return received_; }  ///< decoded bytes handed out
  bool complete() const { return done_; }

 private:
  Task<BodyPiece> read_more(Deadline deadline);
  std::optional<BodyPiece> from_chunks();
  std::optional<BodyPiece> out_of_bytes();
  BodyPiece take(std::size_t bytes);
  BodyPiece end();

  Stream& stream_;
  Buffer& buffer_;
  Framing framing_;
  std::uint64_t limit_;
  std::uint64_t received_ = 0;
  bool done_ = false;
  bool eof_ = false;
  ChunkedDecoder chunked_;
};

class BodyReader::Next {
 public:
  Next(BodyReader& reader, Deadline deadline) : reader_(reader), deadline_(deadline) {}
  bool await_ready() {
    piece_ = reader_.try_next();
    return piece_.has_value();
  }
  bool await_suspend(std::coroutine_handle<> waiter);
  BodyPiece await_resume();

 private:
  BodyReader& reader_;
  Deadline deadline_;
  std::optional<BodyPiece> piece_;
  std::optional<Task<BodyPiece>> task_;
};

inline BodyReader::Next BodyReader::next(Deadline deadline) { return {*this, deadline}; }

}  // namespace msp::http
