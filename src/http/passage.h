// SPDX-License-Identifier: Apache-2.0
// A request that a server's handler passes on to somebody else: its body and the answer go through piece by piece.
// Made by the server for one request, used by the handler's task on the loop's thread.
// What the handler begins and does not end is cut off, so that nobody takes a part for the whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/task.h"
#include "http/body.h"
#include "http/message.h"

namespace msp::http {

/// Whether a request is passed on, and how its body comes.
enum class Passing : unsigned char {
  kNo,         ///< handle() answers it
  kCollected,  ///< `Request::body` has it whole
  kStreamed    ///< Passage::read() gives it piece by piece
};

class Passage {
 public:
  virtual ~Passage() = default;

  /// The next piece of the request's body: of the client, bounded by body_limit(). kEnd at once where there is none, or
  /// where it was collected.
  virtual Task<BodyPiece> read() = 0;
  /// Tells a client that waits for it to send its body, as the first read() would. To be called before an answer can
  /// begin while somebody reads: from then on the two directions are independent of each other.
  virtual Task<bool> invite() = 0;
  /// How the request's body is framed, for who writes it anew.
  virtual const Framing& framing() const = 0;

  // One of these three ways to answer.
  virtual Task<void> answer(Response response) = 0;
  /// read() ended with something else than a piece or the end: the server's own refusal, with a call of on_refused().
  virtual Task<void> refuse(BodyPiece piece) = 0;
  /// A head whose body follows, `length` bytes or, if that is not known, until end(). False: the client is gone.
  virtual Task<bool> begin(Response head, std::optional<std::uint64_t> length) = 0;
  virtual Task<bool> write(std::string_view bytes) = 0;
  virtual Task<bool> end() = 0;
};

}  // namespace msp::http
