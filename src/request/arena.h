// SPDX-License-Identifier: Apache-2.0
// Memory of one request: canonical texts and the normalised header list, handed out in sequence, released at once.
// Owned by the exchange, one thread. A pooled exchange resets it between requests and so never allocates for ordinary
// ones. Cannot fail; what it may hold is bounded by the head limit of the parser. Views into it die with reset().
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace msp::request {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `count` values of T, value-initialised; T needs no destructor.
  template <class T>
  std::span<T> array(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T> && alignof(T) <= alignof(std::max_align_t));
    void* const place = take(count * sizeof(T), alignof(T));
    T* const first = static_cast<T*>(place);
    std::uninitialized_value_construct_n(first, count);
    return {first, count};
  }

  /// Room for text; the bytes are not initialised.
  char* text(std::size_t size) { return static_cast<char*>(take(size, 1)); }

  std::string_view copy(std::string_view from) {
    char* const to = text(from.size());
    if (!from.empty()) {
      std::memcpy(to, from.data(), from.size());
    }
    return {to, from.size()};
  }

  void reset() {
    used_ = 0;
    large_.clear();
  }

  /// Blocks taken from the heap since the last reset.
  std::size_t heap_blocks() const { return large_.size(); }

 private:
  static constexpr std::size_t kInline = 4096;

  void* take(std::size_t size, std::size_t align) {
    const std::size_t at = (used_ + align - 1) & ~(align - 1);
    if (size > kInline - std::min(at, kInline)) {
      large_.push_back(std::make_unique_for_overwrite<std::byte[]>(size));
      return large_.back().get();
    }
    used_ = at + size;
    return inline_.data() + at;
  }

  std::size_t used_ = 0;
  std::vector<std::unique_ptr<std::byte[]>> large_;
  alignas(std::max_align_t) std::array<std::byte, kInline> inline_;
};

}  // namespace msp::request
