// SPDX-License-Identifier: Apache-2.0
// The bytes that a signature is made over (protocol.md D.1 to D.3), in pieces around the body, which is never copied.
// One object per user of it, kept and used again; one thread at a time. Signer and verifier both use it.
// Requests that cannot be signed are errors of Source::kClient: the agent answers 400, the host refuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.h"
#include "base/result.h"
#include "http/head.h"

namespace msp::protocol {

/// More headers than this are not signed: the limit of a parsed head, and room for what the agent adds.
inline constexpr std::size_t kMaxSignedHeaders = http::kMaxHeaders + http::kMaxAddedHeaders;

/// The parts of a request, as written on the wire. Untrusted bytes.
struct SignableRequest {
  std::string_view method;
  std::string_view path;   ///< http::Target::path
  std::string_view query;  ///< http::Target::query
  std::span<const http::Header> headers;
  bool extended = false;  ///< it has one of our headers: signed with one more line (docs/request-extensions.md)
};

class StringToSign {
 public:
  /// Builds everything but the body. Views of an earlier build are dead after it. No allocation once the buffers have
  /// grown to the size of ordinary requests.
  Result<void> build(const SignableRequest& request);

  /// True if a header occurs with two values. Only the last one stands in the string (D.2), so the others are nobody's
  /// word: whoever is on the way can put them in.
  bool has_unsigned_values() const { return unsigned_values_; }

  /// "METHOD LF"; then comes the body.
  std::string_view before_body() const { return std::string_view(text_).substr(0, body_at_); }
  /// "LF", header lines, path, query, and kExtensionLine where there is one.
  std::string_view after_body() const { return std::string_view(text_).substr(body_at_); }
  /// The whole string, for tests and tools.
  std::string with_body(std::string_view body) const;

 private:
  struct NamedHeader {
    std::string_view name;    // lower case
    std::uint64_t front = 0;  // its first bytes, in an order that numbers have, too
    std::size_t index = 0;
    bool operator<(const NamedHeader& other) const;
  };
  // One part of the query. Key and value stand without a separator in the scratch buffer: that is the sort key (D.3).
  struct QueryPart {
    std::string_view key_and_value;
    std::size_t key_size = 0;
    bool operator<(const QueryPart& other) const;
  };

  Result<void> order_headers(std::span<const http::Header> headers);
  char* write(char* text, const SignableRequest& request);
  char* write_header_lines(char* to, std::span<const http::Header> headers);
  char* write_query(char* to, std::string_view query);
  char* write_sorted_parts(char* to);

  std::string text_;
  std::string names_;    // lower-cased header names
  std::string scratch_;  // sort keys of the query
  std::vector<NamedHeader> order_;
  std::vector<QueryPart> parts_;
  std::size_t body_at_ = 0;
  bool unsigned_values_ = false;
};

/// HMAC over the string with that body, which may come in pieces. `key` is of the calling thread.
Result<Sha256Digest> sign(HmacSha256& key, const StringToSign& text, std::span<const std::string_view> body);
Result<Sha256Digest> sign(HmacSha256& key, const StringToSign& text, std::string_view body);

}  // namespace msp::protocol
