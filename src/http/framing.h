// SPDX-License-Identifier: Apache-2.0
// Where the body of a message ends, and what a head says about its connection (protocol.md J.2, attacks.md C01 to C07).
// Pure functions; any thread.
// Heads come from untrusted peers: any ambiguity about a length is refused, there is no "the other one wins".
#pragma once

#include <cstdint>
#include <string_view>

#include "http/head.h"
#include "http/refusal.h"

namespace msp::http {

enum class BodyKind : unsigned char { kNone, kLength, kChunked, kUntilClose };

struct Framing {
  BodyKind kind = BodyKind::kNone;
  std::uint64_t length = 0;  ///< kLength: bytes, at least 1 (a length of 0 is kNone)
  bool of_answer = false;    ///< trailers of answers are dropped whatever their names

  bool has_body() const { return kind != BodyKind::kNone; }
};

/// Refuses (400 `length_ambiguous`, `bad_content_length`, `bad_transfer_encoding`): both length headers, more than one
/// `content-length` (equal ones, too), signs, hex, lists, leading zeros, overflow, a `transfer-encoding` other than
/// exactly `chunked`, one in HTTP/1.0, and either name with '_' for '-', which some readers take for the same.
[[nodiscard]] Checked<Framing> request_framing(const RequestHead& head);
/// `request_method`: that of the request answered (HEAD has no body). Refusals as above, with status 502.
[[nodiscard]] Checked<Framing> response_framing(const ResponseHead& head, std::string_view request_method);

/// Decimal digits only, no leading zero, at most 2^63-1.
[[nodiscard]] bool parse_length(std::string_view text, std::uint64_t& length);

struct ConnectionOptions {
  bool close = false;
  bool keep_alive = false;
  std::string_view foreign;  ///< first option that is none of ours: it could strip a header, refuse it (400)

  /// True if the connection may serve another message after this one.
  bool persistent(int minor_version) const { return !close && (minor_version >= 1 || keep_alive); }
};

/// All `connection` headers together.
ConnectionOptions connection_options(const HeaderList& headers);
/// Headers that concern one connection only and are never passed on: `connection`, `keep-alive`, `proxy-connection`,
/// `te`, `upgrade`, `expect`, `http2-settings`. Any case.
bool is_connection_header(std::string_view name);

/// True: a `connection` header names it, so it concerns this connection only (RFC 9110 7.6.1).
bool is_connection_option(const HeaderList& headers, std::string_view name);

enum class Expectation : unsigned char { kNone, k100Continue, kUnknown };
/// kUnknown is to be answered with 417; HTTP/1.0 requests have no expectation.
Expectation expectation(const RequestHead& head);

}  // namespace msp::http
