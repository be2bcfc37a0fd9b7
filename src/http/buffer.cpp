// SPDX-License-Identifier: Apache-2.0
#include "http/buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace msp::http {

Buffer::Buffer(Buffer&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      block_(std::move(other.block_)),
      begin_(std::exchange(other.begin_, 0)),
      end_(std::exchange(other.end_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    pool_ = std::exchange(other.pool_, nullptr);
    block_ = std::move(other.block_);
    begin_ = std::exchange(other.begin_, 0);
    end_ = std::exchange(other.end_, 0);
  }
  return *this;
}

void Buffer::consume(std::size_t bytes) {
  begin_ += bytes;
  if (begin_ == end_) {
    clear();
  }
}

std::size_t Buffer::append(std::string_view bytes) {
  const std::span<char> free = writable();
  const std::size_t size = std::min(bytes.size(), free.size());
  if (size > 0) {
    std::memcpy(free.data(), bytes.data(), size);
    commit(size);
  }
  return size;
}

void Buffer::compact() {
  if (begin_ > 0) {
    std::memmove(block_.get(), block_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
}

void Buffer::split(std::size_t keep, Buffer& rest) {
  rest.clear();
  rest.append(readable().substr(keep));
  end_ = begin_ + keep;
}

void Buffer::release() {
  clear();
  if (block_ != nullptr) {
    std::exchange(pool_, nullptr)->give_back(std::move(block_));
  }
}

Buffer BufferPool::take() {
  ++in_use_;
  if (cache_.empty()) {
    least_cached_ = 0;
    return {*this, std::make_unique_for_overwrite<char[]>(Buffer::kCapacity)};
  }
  std::unique_ptr<char[]> block = std::move(cache_.back());
  cache_.pop_back();
  least_cached_ = std::min(least_cached_, cache_.size());
  return {*this, std::move(block)};
}

void BufferPool::free_unneeded() {
  const std::size_t keep = std::max(cache_.size() - least_cached_, kAlwaysKept);
  cache_.resize(std::min(cache_.size(), keep));
  least_cached_ = cache_.size();
}

void BufferPool::give_back(std::unique_ptr<char[]> block) {
  --in_use_;
  if (cache_.size() < max_cached_) {
    cache_.push_back(std::move(block));
  }
}

}  // namespace msp::http
