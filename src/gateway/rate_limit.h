// SPDX-License-Identifier: Apache-2.0
// How many requests a second one machine may ask of IMDS.
// A value of each machine; loop's thread. Times are of a clock that does not step.
// Up to a second's worth may come at once; what is over is refused and told when to come again.
#pragma once

#include <cstdint>

namespace msp::gateway {

class RateLimit {
 public:
  /// Seconds to wait before the next try; 0: go on. `per_second` 0: there is no limit.
  std::uint64_t take(std::uint64_t per_second, std::uint64_t now_ns) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    if (per_second == 0) {
      return 0;
    }
    // The time by which all that was let through would have come one after the other.
    const std::uint64_t step = kSecond / per_second;
    const std::uint64_t from = spent_until_ns_ > now_ns ? spent_until_ns_ : now_ns;
    if (from + step > now_ns + kSecond) {
      return 1;
    }
    spent_until_ns_ = from + step;
    return 0;
  }

 private:
  std::uint64_t spent_until_ns_ = 0;
};

}  // namespace msp::gateway
