// SPDX-License-Identifier: Apache-2.0
// Memory for the time of one decision, without asking the allocator: from the stack, then from a block of the thread.
// One thread; last made, first gone. Nothing fails.
// Only a decision that needs more than kThreadBytes (some thousand query pairs in one target) takes memory.
#pragma once

#include <array>
#include <cstddef>
#include <memory_resource>

namespace msp::policy {

/// Takes from the thread's block; what was taken while it lived is given back at its end.
class ThreadScratch final : public std::pmr::memory_resource {
 public:
  static constexpr std::size_t kThreadBytes = std::size_t{256} << 10;

  ThreadScratch() : before_(block().used) {}
  ThreadScratch(const ThreadScratch&) = delete;
  ThreadScratch& operator=(const ThreadScratch&) = delete;
  ~ThreadScratch() override { block().used = before_; }

 private:
  struct Block {
    alignas(std::max_align_t) std::array<std::byte, kThreadBytes> bytes;
    std::size_t used;
  };
  /// Zero pages until they are used.
  static Block& block() {
    static thread_local constinit Block block{};
    return block;
  }
  static bool is_ours(const void* memory);

  void* do_allocate(std::size_t size, std::size_t alignment) override;
  void do_deallocate(void* memory, std::size_t size, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::size_t before_;
};

/// `Bytes` of the stack, and the thread's block behind them.
template <std::size_t Bytes>
class Scratch {
 public:
  // Not initialised: hardened builds would clear the buffer for each decision.
  Scratch() : memory_(buffer_.data(), buffer_.size(), &more_) {}
  std::pmr::memory_resource* memory() { return &memory_; }

 private:
  std::array<std::byte, Bytes> buffer_;
  ThreadScratch more_;
  std::pmr::monotonic_buffer_resource memory_;
};

}  // namespace msp::policy
