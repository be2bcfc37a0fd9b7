// SPDX-License-Identifier: Apache-2.0
// A bounded ring of byte records of any length: one producer thread, one consumer thread, no lock, no allocation.
// Made before and destroyed after both threads use it.
// Full: reserve() gives nothing and leaves the ring as it was.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace msp::audit {

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what two threads write must not share a cache line
class Ring {
 public:
  /// Rounded up to a power of two, at least 64 KiB. Untouched memory costs nothing.
  explicit Ring(std::size_t bytes);

  std::size_t capacity() const { return mask_ + 1; }

  // Producer.
  /// Room for `size` bytes, if `keep_free` bytes stay free behind them; null if not. Valid until commit().
  char* reserve(std::size_t size, std::size_t keep_free);
  /// Shows what was reserved to the consumer. Sequentially consistent: see Queue.
  void commit() { head_.store(pending_, std::memory_order_seq_cst); }
  /// Bytes in use; may count what has been released already.
  std::size_t used() const { return static_cast<std::size_t>(pending_ - seen_tail_); }
  std::size_t refreshed_used() {
    seen_tail_ = tail_.load(std::memory_order_acquire);
    return used();
  }

  // Consumer.
  std::uint64_t tail() const { return tail_.load(std::memory_order_relaxed); }
  /// The record at `at`, which then moves behind it; no data if there is none. Valid until release().
  std::span<const char> next(std::uint64_t& at) const;
  /// Gives back all before `to`.
  void release(std::uint64_t to) { tail_.store(to, std::memory_order_release); }

  // Either.
  std::uint64_t head() const { return head_.load(std::memory_order_seq_cst); }

 private:
  static constexpr std::size_t kLine = 64;  // two threads must not share a cache line

  std::size_t mask_;
  std::unique_ptr<std::uint64_t[]> memory_;
  char* bytes_;
  alignas(kLine) std::atomic<std::uint64_t> head_ = 0;
  std::uint64_t pending_ = 0;    // producer's
  std::uint64_t seen_tail_ = 0;  // producer's
  alignas(kLine) std::atomic<std::uint64_t> tail_ = 0;
};

}  // namespace msp::audit
