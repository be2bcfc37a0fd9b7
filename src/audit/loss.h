// SPDX-License-Identifier: Apache-2.0
// Counts of records that did not reach the file, by reason.
// One thread counts, any thread may read, of another process too, which does not trust what it reads; a fixed table, no
// allocation when counting.
// More reasons than slots: the rest is counted together as "other".
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace msp::audit {

class LossTable {
 public:
  /// "" counts as "permit".
  void count(std::string_view reason) noexcept;
  std::uint64_t total() const { return total_.load(std::memory_order_acquire); }
  void add_to(std::map<std::string, std::uint64_t>& sums) const;

 private:
  static constexpr std::size_t kSlots = 64;  // the last one is "other"
  static constexpr std::size_t kNameSize = 48;

  struct Slot {
    std::array<char, kNameSize> name{};
    std::uint8_t size = 0;
    std::atomic<std::uint64_t> count = 0;
    std::string_view text() const { return {name.data(), std::min<std::size_t>(size, kNameSize)}; }
  };
  static void set_name(Slot& slot, std::string_view name);

  std::array<Slot, kSlots> slots_;
  std::atomic<std::size_t> used_ = 0;
  std::atomic<std::uint64_t> total_ = 0;
};

}  // namespace msp::audit
