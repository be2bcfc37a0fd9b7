// SPDX-License-Identifier: Apache-2.0
// A series of choices read off bytes: what a property test and a fuzz target make rules and requests from.
// Owned by one test case; one thread.
// Never ends: behind the last byte every choice is the first one, so that fewer bytes make smaller things.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace msp::test {

class Choices {
 public:
  explicit Choices(std::string bytes) : bytes_(std::move(bytes)) {}

  /// `size` bytes of a fixed series (splitmix64) that begins at `seed`.
  static Choices series(std::uint64_t seed, std::size_t size) {
    std::string bytes;
    for (std::uint64_t state = seed; bytes.size() < size; state += 0x9e3779b97f4a7c15) {
      std::uint64_t mixed = (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9;
      mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
      mixed ^= mixed >> 31;
      for (int i = 0; i < 8; ++i) {
        bytes += static_cast<char>(mixed >> (8 * i));
      }
    }
    bytes.resize(size);
    return Choices(std::move(bytes));
  }

  bool more() const { return at_ < bytes_.size(); }
  /// Below `bound`, which is at most 256.
  std::size_t below(std::size_t bound) {
    return at_ < bytes_.size() ? static_cast<unsigned char>(bytes_[at_++]) % bound : 0;
  }
  /// True in `of_256` of 256 cases.
  bool chance(std::size_t of_256) { return below(256) >= 256 - of_256; }
  template <class Range>
  const auto& one_of(const Range& range) {
    return range[below(std::size(range))];
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

}  // namespace msp::test
