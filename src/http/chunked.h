// SPDX-License-Identifier: Apache-2.0
// Incremental, strict decoder of chunked bodies: CRLF only, no extensions, sizes guarded, trailers checked and dropped.
// Owned by one body; any thread, one at a time. No allocation: data comes back as views into the input.
// Bytes come from untrusted peers; after a refusal the decoder stays refused and the connection must not be used again.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/refusal.h"

namespace msp::http {

class ChunkedDecoder {
 public:
  static constexpr std::size_t kMaxSizeDigits = 16;
  static constexpr std::size_t kMaxTrailerBytes = std::size_t{8} * 1024;

  enum class Event : unsigned char { kNeedMore, kData, kEnd, kBad };

  struct Step {
    Event event = Event::kNeedMore;
    std::size_t consumed = 0;  ///< bytes of the input that are done with (data included)
    std::string_view data;     ///< kData: body bytes inside the input
    Refusal refusal;           ///< kBad
  };

  /// `of_answer`: trailers may have any name, as nobody acts on what is dropped. One of a request that is named like a
  /// protected header is an attempt to smuggle, and refused.
  explicit ChunkedDecoder(bool of_answer = false) : any_trailer_(of_answer) {}

  /// Decodes the front of `input`; call again with the rest behind `consumed`. kNeedMore has consumed all of it.
  /// kEnd: the final empty line was consumed, what follows belongs to the next message.
  /// The data and the verdict do not depend on how the bytes are split.
  [[nodiscard]] Step next(std::string_view input);

  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : unsigned char {
    kSize,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kFinalLf,
    kDone,
    kBad
  };

  Step fail(std::size_t consumed, std::string_view code, std::string_view what);
  bool size_byte(char c);
  bool trailer_byte(char c);

  State state_ = State::kSize;
  bool any_trailer_;
  unsigned digits_ = 0;
  std::uint64_t left_ = 0;  // of the size line so far, then of the chunk's data
  std::size_t trailer_bytes_ = 0;
  std::size_t name_size_ = 0;
  std::array<char, 48> name_{};  // lower case; longer than any protected name
  Refusal refusal_;
};

/// True for names that must never arrive as a trailer of a request (framing, routing, credentials, everything `x-ms-`).
/// `name`: lower case.
bool is_protected_trailer(std::string_view name);

}  // namespace msp::http
