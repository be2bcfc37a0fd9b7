// SPDX-License-Identifier: Apache-2.0
// A bounded ring of byte records of any length: one producer, one consumer, two threads or two processes; no lock, no
// allocation when producing.
// Each end has a Ring of its own over the same memory. The consumer trusts nothing that the producer writes: it copies
// a record before it looks, and keeps its own position.
// Full: reserve() gives nothing and leaves the ring as it was. Nonsense: all of it is skipped, and counted as one.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace msp::audit {

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): what two ends write must not share a cache line
struct RingPositions {
  static constexpr std::size_t kLine = 64;
  alignas(kLine) std::atomic<std::uint64_t> head = 0;
  alignas(kLine) std::atomic<std::uint64_t> tail = 0;
};

class Ring {
 public:
  static constexpr std::size_t kMinBytes = std::size_t{64} << 10;

  /// `memory`: a power of two of bytes, at least kMinBytes, aligned to eight. Goes on where another Ring over the same
  /// memory has ended.
  Ring(RingPositions& positions, std::span<char> memory);

  std::size_t capacity() const { return mask_ + 1; }

  // Producer.
  /// Room for `size` bytes, if `keep_free` bytes stay free behind them; null if not. Valid until commit().
  char* reserve(std::size_t size, std::size_t keep_free);
  /// Shows what was reserved to the consumer. Sequentially consistent: see Queue.
  void commit() { positions_.head.store(pending_, std::memory_order_seq_cst); }
  /// Bytes in use; may count what has been released already.
  std::size_t used() const { return static_cast<std::size_t>(pending_ - seen_tail_); }
  std::size_t refreshed_used() {
    seen_tail_ = positions_.tail.load(std::memory_order_acquire);
    return used();
  }

  // Consumer.
  std::uint64_t tail() const { return tail_; }
  /// A copy of the record at `at`, which then moves behind it; no data if there is none. Valid until the next call.
  std::span<const char> next(std::uint64_t& at);
  /// Gives back all before `to`.
  void release(std::uint64_t to) {
    tail_ = to;
    positions_.tail.store(to, std::memory_order_release);
  }
  /// How often what next() found could not have been written by reserve() and commit().
  std::uint64_t spoiled() const { return spoiled_; }

  // Either.
  std::uint64_t head() const { return positions_.head.load(std::memory_order_seq_cst); }

 private:
  RingPositions& positions_;
  std::size_t mask_;
  char* bytes_;
  std::uint64_t pending_;    // producer's
  std::uint64_t seen_tail_;  // producer's
  std::uint64_t tail_;       // consumer's
  std::uint64_t spoiled_ = 0;
  std::vector<char> copy_;
};

}  // namespace msp::audit
