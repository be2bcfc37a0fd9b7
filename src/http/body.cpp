// SPDX-License-Identifier: Apache-2.0
#include "http/body.h"

#include <algorithm>

namespace msp::http {

BodyReader::BodyReader(Stream& stream, Buffer& buffer, Framing framing, std::uint64_t limit)
    : stream_(stream), buffer_(buffer), framing_(framing), limit_(limit), chunked_(framing.of_answer) {}

BodyPiece BodyReader::end() {
  done_ = true;
  return {};
}

BodyPiece BodyReader::take(std::size_t bytes) {
  const std::string_view data = buffer_.readable().substr(0, bytes);
  buffer_.consume(bytes);
  received_ += bytes;
  return {.status = BodyStatus::kPiece, .data = data, .refusal = {}, .code = 0};
}

std::optional<BodyPiece> BodyReader::out_of_bytes() {
  if (eof_) {
    return BodyPiece{.status = BodyStatus::kEof, .data = {}, .refusal = {}, .code = 0};
  }
  return std::nullopt;
}

std::optional<BodyPiece> BodyReader::from_chunks() {
  const ChunkedDecoder::Step step = chunked_.next(buffer_.readable());
  switch (step.event) {
    case ChunkedDecoder::Event::kNeedMore:
      buffer_.consume(step.consumed);
      return out_of_bytes();
    case ChunkedDecoder::Event::kEnd:
      buffer_.consume(step.consumed);
      return end();
    case ChunkedDecoder::Event::kBad:
      return BodyPiece{.status = BodyStatus::kBad, .data = {}, .refusal = step.refusal, .code = 0};
    case ChunkedDecoder::Event::kData:
      break;
  }
  if (step.data.size() > limit_ - received_) {
    return BodyPiece{.status = BodyStatus::kTooLarge, .data = {}, .refusal = {}, .code = 0};
  }
  buffer_.consume(step.consumed);
  received_ += step.data.size();
  return BodyPiece{.status = BodyStatus::kPiece, .data = step.data, .refusal = {}, .code = 0};
}

std::optional<BodyPiece> BodyReader::try_next() {
  if (done_) {
    return end();
  }
  switch (framing_.kind) {
    case BodyKind::kNone:
      return end();
    case BodyKind::kLength: {
      if (framing_.length > limit_) {
        return BodyPiece{.status = BodyStatus::kTooLarge, .data = {}, .refusal = {}, .code = 0};
      }
      const std::uint64_t left = framing_.length - received_;
      if (left == 0) {
        return end();
      }
      return buffer_.empty() ? out_of_bytes()
                             : take(static_cast<std::size_t>(std::min<std::uint64_t>(left, buffer_.readable().size())));
    }
    case BodyKind::kUntilClose:
      if (buffer_.empty()) {
        return eof_ ? std::optional(end()) : std::nullopt;
      }
      if (buffer_.readable().size() > limit_ - received_) {
        return BodyPiece{.status = BodyStatus::kTooLarge, .data = {}, .refusal = {}, .code = 0};
      }
      return take(buffer_.readable().size());
    case BodyKind::kChunked:
      return from_chunks();
  }
  return end();
}

Task<BodyPiece> BodyReader::read_more(Deadline deadline) {
  for (;;) {
    // Everything was consumed, or there would have been a piece: the whole block is free again.
    buffer_.clear();
    const IoResult read = co_await stream_.read_some(buffer_.writable(), deadline);
    if (read.ok()) {
      buffer_.commit(read.bytes);
    } else if (read.status == IoStatus::kEof) {
      eof_ = true;
    } else {
      const BodyStatus status = read.status == IoStatus::kTimeout ? BodyStatus::kTimeout : BodyStatus::kError;
      co_return BodyPiece{.status = status, .data = {}, .refusal = {}, .code = read.code};
    }
    const std::optional<BodyPiece> piece = try_next();
    if (piece) {
      co_return *piece;
    }
  }
}

bool BodyReader::Next::await_suspend(std::coroutine_handle<> waiter) {
  task_.emplace(reader_.read_more(deadline_));
  auto awaiter = task_->operator co_await();
  if (awaiter.await_ready()) {
    return false;
  }
  awaiter.await_suspend(waiter);
  return true;
}

BodyPiece BodyReader::Next::await_resume() {
  return task_ ? task_->operator co_await().await_resume() : piece_.value_or(BodyPiece{});
}

}  // namespace msp::http
