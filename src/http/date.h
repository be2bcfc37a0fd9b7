// SPDX-License-Identifier: Apache-2.0
// IMF-fixdate, the date form of HTTP and of protocol.md D.5: "Wed, 23 Apr 2025 12:00:00 GMT".
// Pure functions and a small cache owned by its user; any thread, one at a time.
// Parsing takes this form only; anything else, also a wrong day of the week, is no date.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace msp::http {

inline constexpr std::size_t kDateSize = 29;
using DateText = std::array<char, kDateSize>;

/// `unix_seconds` in 0000-01-01 .. 9999-12-31; outside it is clamped.
DateText format_date(std::int64_t unix_seconds);
/// Seconds since 1970, UTC. `text` may come from a peer.
std::optional<std::int64_t> parse_date(std::string_view text);

/// Formats once a second.
class DateCache {
 public:
  std::string_view text(std::int64_t unix_seconds) {
    if (unix_seconds != second_) {
      second_ = unix_seconds;
      text_ = format_date(unix_seconds);
    }
    return {text_.data(), text_.size()};
  }

 private:
  std::int64_t second_ = -1;
  DateText text_ = format_date(-1);
};

}  // namespace msp::http
