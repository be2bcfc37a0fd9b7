// SPDX-License-Identifier: Apache-2.0
// The query of a request to IMDS: each name once (public contract), names in any case.
// Views into the request; loop's thread.
// Bytes are from a client: a query that repeats a name or has too many is not good, and then says nothing.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace msp::gateway {

class ImdsQuery {
 public:
  explicit ImdsQuery(std::string_view text);

  bool good() const { return good_; }
  /// As it was sent; nothing: it is not there.
  std::optional<std::string_view> find(std::string_view name) const;
  /// Percent-decoded; empty: not there, or malformed.
  std::string decoded(std::string_view name) const;

 private:
  bool good_ = true;
  std::size_t count_ = 0;
  std::array<std::pair<std::string_view, std::string_view>, 16> parameters_;
};

}  // namespace msp::gateway
