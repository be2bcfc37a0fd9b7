// SPDX-License-Identifier: Apache-2.0
// Pooled 64 KiB byte buffers: a connection takes one when it has something to read and gives it back when idle.
// A pool belongs to one loop's thread and must outlive its buffers. LIFO, so that the same warm memory is used again.
// Taking allocates only when the cache is empty; running out of memory ends the program.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "http/head.h"

namespace msp::http {

class BufferPool;

/// Readable bytes, then free space, in one block.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  /// False: no block (default made, moved from or released).
  explicit operator bool() const { return block_ != nullptr; }
  std::string_view readable() const { return {block_.get() + begin_, end_ - begin_}; }
  bool empty() const { return begin_ == end_; }
  /// Free space behind the readable bytes.
  std::span<char> writable() { return {block_.get() + end_, kCapacity - end_}; }
  /// `bytes` were written to the front of writable().
  void commit(std::size_t bytes) { end_ += bytes; }
  /// The first `bytes` readable ones are done with. Their memory is left as it is until the next write or compact().
  void consume(std::size_t bytes);
  /// Copies what fits; returns how much.
  std::size_t append(std::string_view bytes);
  /// Moves the readable bytes to the front, so that all free space is behind them. Views into the buffer become
  /// invalid.
  void compact();
  /// Moves the bytes behind the first `keep` readable ones to the empty `rest`: the way to read a body while the views
  /// of its head, which stays here, are still in use.
  void split(std::size_t keep, Buffer& rest);
  void clear() { begin_ = end_ = 0; }
  /// Gives the block back, with whatever is in it.
  void release();

  static constexpr std::size_t kCapacity = kMaxHeadBytes;

 private:
  friend class BufferPool;
  Buffer(BufferPool& pool, std::unique_ptr<char[]> block) : pool_(&pool), block_(std::move(block)) {}

  BufferPool* pool_ = nullptr;
  std::unique_ptr<char[]> block_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class BufferPool {
 public:
  /// Keeps up to `max_cached` unused blocks: enough for bursts, as the heap gives large blocks back to the kernel.
  explicit BufferPool(std::size_t max_cached = 256) : max_cached_(max_cached) { cache_.reserve(max_cached); }
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  Buffer take();
  /// Frees blocks that nobody has needed since the last call, all but a few. To be called now and then.
  void free_unneeded();
  std::size_t in_use() const { return in_use_; }
  std::size_t cached() const { return cache_.size(); }

 private:
  friend class Buffer;
  static constexpr std::size_t kAlwaysKept = 8;
  void give_back(std::unique_ptr<char[]> block);

  std::size_t max_cached_;
  std::size_t least_cached_ = 0;  // since free_unneeded()
  std::size_t in_use_ = 0;
  std::vector<std::unique_ptr<char[]>> cache_;
};

}  // namespace msp::http
