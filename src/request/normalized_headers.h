// SPDX-License-Identifier: Apache-2.0
// The header list that is signed and written upstream, and nothing else is (protocol.md J.2, last paragraphs).
// Owned by the exchange, on the loop's thread; names and values point into the head's bytes and the exchange's arena.
// Input is untrusted. Trusted headers are dropped and told, ambiguous ones refused; a refused list must not be used.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "http/head.h"
#include "request/arena.h"
#include "request/fault.h"

namespace msp::request {

/// Names that begin like one of these (any case, '_' like '-') are ours: claims, date, signature, extensions, and what
/// may join them.
inline constexpr std::array<std::string_view, 2> kTrustedPrefixes = {"x-ms-azure-host-", "x-ms-openmsp-"};
bool is_trusted_header(std::string_view name);

/// Headers whose repetition has the meaning of a comma-separated list. `name` in lower case.
bool is_list_header(std::string_view name);

class NormalizedHeaders {
 public:
  /// Names in lower case, each once, in order of first appearance.
  std::span<const http::Header> list() const { return items_.first(size_); }
  std::size_t stripped() const { return stripped_; }  ///< trusted headers that the client had sent

  /// The header of that lower-case name, or null.
  const http::Header* find(std::string_view name) const;
  /// Replaces the value in place, or appends. At most kRoom names may be new; name and value must live as long as the
  /// list. `name` in lower case.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);

  static constexpr std::size_t kRoom = 8;

 private:
  friend Fault normalize_headers(const http::RequestHead& head, Arena& arena, NormalizedHeaders& out);
  Fault add(std::string_view name, std::string_view value);

  std::span<http::Header> items_;
  std::size_t size_ = 0;
  std::size_t stripped_ = 0;
  bool joined_ = false;
  bool underscored_ = false;  ///< one of the names has a '_'
};

/// Drops trusted, connection-only and `transfer-encoding`/`trailer` headers (the body is framed anew), joins repeated
/// list-valued headers with ", ". Refuses other repeated headers, names that only '_' and '-' tell apart, values that
/// cannot be signed, a `connection` that names another header, expectations other than 100-continue (417). A missing
/// Host is the caller's to set.
Fault normalize_headers(const http::RequestHead& head, Arena& arena, NormalizedHeaders& out);

}  // namespace msp::request
