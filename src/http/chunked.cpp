// SPDX-License-Identifier: Apache-2.0
#include "http/chunked.h"

#include <algorithm>
#include <limits>

#include "http/head.h"

namespace msp::http {
namespace {

/// -1: no hex digit.
int hex_value(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const int lowered = c | 0x20;
  return lowered >= 'a' && lowered <= 'f' ? lowered - 'a' + 10 : -1;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

constexpr std::string_view kBadSize = "a chunk size is not 1 to 16 hexadecimal digits with CR LF behind them";
constexpr std::string_view kBadTrailer = "a trailer line is malformed, too long or names a header that is protected";

}  // namespace

bool is_protected_trailer(std::string_view name) {
  static constexpr std::array<std::string_view, 24> kNames = {"authorization",
                                                              "cache-control",
                                                              "connection",
                                                              "content-encoding",
                                                              "content-length",
                                                              "content-range",
                                                              "content-type",
                                                              "cookie",
                                                              "date",
                                                              "expect",
                                                              "forwarded",
                                                              "host",
                                                              "keep-alive",
                                                              "location",
                                                              "metadata",
                                                              "proxy-authorization",
                                                              "proxy-connection",
                                                              "set-cookie",
                                                              "te",
                                                              "trailer",
                                                              "transfer-encoding",
                                                              "upgrade",
                                                              "www-authenticate",
                                                              "via"};
  return name.starts_with("x-ms-") || name.starts_with("x-forwarded-") ||
         std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

ChunkedDecoder::Step ChunkedDecoder::fail(std::size_t consumed, std::string_view code, std::string_view what) {
  state_ = State::kBad;
  refusal_ = {400, code, what};
  return {Event::kBad, consumed, {}, refusal_};
}

bool ChunkedDecoder::size_byte(char c) {
  if (c == '\r') {
    state_ = State::kSizeLf;
    return digits_ > 0;
  }
  const int value = hex_value(c);
  if (value < 0 || ++digits_ > kMaxSizeDigits) {
    return false;
  }
  // Sizes stay below 2^63, so that sums of a caller cannot wrap either.
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (left_ > (kMax >> 4U)) {
    return false;
  }
  left_ = (left_ << 4U) | static_cast<std::uint64_t>(value);
  return true;
}

bool ChunkedDecoder::trailer_byte(char c) {
  if (++trailer_bytes_ > kMaxTrailerBytes) {
    return false;
  }
  switch (state_) {
    case State::kTrailerName:
      if (c == ':') {
        state_ = State::kTrailerValue;
        const std::string_view name(name_.data(), std::min(name_size_, name_.size()));
        return name_size_ > 0 && (any_trailer_ || !is_protected_trailer(name));
      }
      if (name_size_ < name_.size()) {
        name_[name_size_] = lower(c);
      }
      ++name_size_;
      return is_token({&c, 1});
    case State::kTrailerValue:
      if (c == '\r') {
        state_ = State::kTrailerLf;
        return true;
      }
      return is_signable_value({&c, 1});
    default:
      state_ = State::kTrailerStart;
      return c == '\n';
  }
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) {
  for (std::size_t i = 0; i < input.size();) {
    const char c = input[i];
    switch (state_) {
      case State::kSize:
        if (!size_byte(c)) {
          return fail(i, "bad_chunk", kBadSize);
        }
        break;
      case State::kSizeLf:
        if (c != '\n') {
          return fail(i, "bad_chunk", kBadSize);
        }
        state_ = left_ == 0 ? State::kTrailerStart : State::kData;
        break;
      case State::kData: {
        const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - i));
        left_ -= size;
        state_ = left_ == 0 ? State::kDataCr : State::kData;
        return {Event::kData, i + size, input.substr(i, size), {}};
      }
      case State::kDataCr:
      case State::kDataLf:
        if (c != (state_ == State::kDataCr ? '\r' : '\n')) {
          return fail(i, "bad_chunk", "the data of a chunk is longer than its size says");
        }
        digits_ = 0;
        state_ = state_ == State::kDataCr ? State::kDataLf : State::kSize;
        break;
      case State::kTrailerStart:
        if (c == '\r') {
          state_ = State::kFinalLf;
          break;
        }
        name_size_ = 0;
        state_ = State::kTrailerName;
        [[fallthrough]];
      case State::kTrailerName:
      case State::kTrailerValue:
      case State::kTrailerLf:
        if (!trailer_byte(c)) {
          return fail(i, "bad_trailer", kBadTrailer);
        }
        break;
      case State::kFinalLf:
        if (c != '\n') {
          return fail(i, "bad_chunk", "the chunked body does not end in an empty line");
        }
        state_ = State::kDone;
        return {Event::kEnd, i + 1, {}, {}};
      case State::kDone:
        return {Event::kEnd, i, {}, {}};
      case State::kBad:
        return {Event::kBad, i, {}, refusal_};
    }
    ++i;
  }
  if (state_ == State::kDone || state_ == State::kBad) {
    return {state_ == State::kDone ? Event::kEnd : Event::kBad, 0, {}, refusal_};
  }
  return {Event::kNeedMore, input.size(), {}, {}};
}

}  // namespace msp::http
