// SPDX-License-Identifier: Apache-2.0
// Strict parser of HTTP/1.1 request and response heads; views into the caller's buffer, no allocation, no system call.
// Any thread, one at a time for each head object. A head stays valid as long as the bytes it was parsed from.
// Bytes come from untrusted peers: anything that two parsers might read differently is refused (protocol.md J.2).
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "http/refusal.h"

namespace msp::http {

/// Limit of a head, with the final empty line. Also the size of one pooled buffer block.
inline constexpr std::size_t kMaxHeadBytes = std::size_t{64} * 1024;
inline constexpr std::size_t kMaxHeaders = 100;
inline constexpr std::size_t kMaxAddedHeaders = 8;  ///< by an agent, on the way from its client to its host

struct Header {
  std::string_view name;   ///< as received
  std::string_view value;  ///< without blanks and tabs around it
};

namespace detail {
/// Both of the same size.
bool same_but_case(std::string_view a, std::string_view b);
}  // namespace detail

/// ASCII case-insensitive equality of header names and similar tokens. Most pairs differ in size.
inline bool iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && detail::same_but_case(a, b);
}

/// Headers in wire order.
class HeaderList {
 public:
  const Header* begin() const { return items_.data(); }
  const Header* end() const { return items_.data() + size_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const Header& operator[](std::size_t i) const { return items_[i]; }

  /// False when full: at kMaxHeaders.
  bool push(const Header& header);
  /// For the host's end, which takes what an agent made of a head that was full.
  void admit_added() { limit_ = items_.size(); }
  void clear() { size_ = 0; }

  /// The first header of that name (any case), or null.
  const Header* find(std::string_view name) const;
  std::size_t count(std::string_view name) const;
  /// The first value of that name, or an empty view.
  std::string_view value(std::string_view name) const;

 private:
  std::array<Header, kMaxHeaders + kMaxAddedHeaders> items_;
  std::size_t size_ = 0;
  std::size_t limit_ = kMaxHeaders;
};

struct RequestHead {
  std::string_view method;
  std::string_view target;  ///< as received; see target.h
  int minor_version = 1;    ///< HTTP/1.x: 0 or 1
  HeaderList headers;
};

struct ResponseHead {
  int minor_version = 1;
  int status = 0;           ///< 100..599
  std::string_view reason;  ///< may be empty, may hold bytes above 0x7F
  HeaderList headers;
};

/// How far the search for the end of a head has got; keep one beside a growing buffer, reset it for the next head.
struct HeadProgress {
  std::size_t searched = 0;
  std::size_t line_start = 0;
};

enum class ParseStatus : unsigned char { kComplete, kIncomplete, kBad };

struct ParseResult {
  ParseStatus status = ParseStatus::kIncomplete;
  std::size_t consumed = 0;  ///< kComplete: size of the head in bytes, with everything up to the final empty line
  Refusal refusal;           ///< kBad

  bool complete() const { return status == ParseStatus::kComplete; }
  bool bad() const { return status == ParseStatus::kBad; }
};

/// Parses the head at the front of `bytes` (from the client). The verdict depends on the bytes only, never on how they
/// were split: once a prefix is complete or bad, every longer input gives the same result.
/// With `progress`, a call with a longer input goes on where the last one stopped (the bytes seen before must be the
/// same). At most one empty line before the request line is accepted. Refusals: 400, 414 (a limit is reached inside the
/// request line), 431, 505.
[[nodiscard]] ParseResult parse_request_head(std::string_view bytes, RequestHead& head,
                                             HeadProgress* progress = nullptr);

/// The same for the answer of a host (semi-trusted): as strict, but bytes above 0x7F are allowed in the reason and in
/// values. Every refusal has status 502.
[[nodiscard]] ParseResult parse_response_head(std::string_view bytes, ResponseHead& head,
                                              HeadProgress* progress = nullptr);

/// RFC 9110 token, at least one byte.
bool is_token(std::string_view text);
/// True if every byte is 0x20..0x7E or a tab: such a value can be signed (protocol.md D.2).
bool is_signable_value(std::string_view value);

}  // namespace msp::http
