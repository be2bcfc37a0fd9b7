// SPDX-License-Identifier: Apache-2.0
#include "audit/ring.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace msp::audit {
namespace {

constexpr std::size_t kMinBytes = std::size_t{64} << 10;

struct Header {
  std::uint32_t size;    // of what follows, without rounding
  std::uint32_t is_pad;  // 1: skip to the start of the ring
};

constexpr std::size_t rounded(std::size_t size) { return (size + 7) & ~std::size_t{7}; }

}  // namespace

Ring::Ring(std::size_t bytes)
    : mask_(std::bit_ceil(std::max(bytes, kMinBytes)) - 1),
      memory_(std::make_unique_for_overwrite<std::uint64_t[]>((mask_ + 1) / sizeof(std::uint64_t))),
      bytes_(reinterpret_cast<char*>(memory_.get())) {}

char* Ring::reserve(std::size_t size, std::size_t keep_free) {
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::size_t total = sizeof(Header) + rounded(size);
  const std::size_t room = capacity() - (head & mask_);
  const std::size_t pad = room < total ? room : 0;
  const auto fits = [&] { return head - seen_tail_ + pad + total + keep_free <= capacity(); };
  if (!fits()) {
    seen_tail_ = tail_.load(std::memory_order_acquire);
    if (!fits()) {
      return nullptr;
    }
  }
  if (pad != 0) {
    const Header skip{.size = static_cast<std::uint32_t>(pad - sizeof(Header)), .is_pad = 1};
    std::memcpy(bytes_ + (head & mask_), &skip, sizeof skip);
  }
  char* at = bytes_ + ((head + pad) & mask_);
  const Header header{.size = static_cast<std::uint32_t>(size), .is_pad = 0};
  std::memcpy(at, &header, sizeof header);
  pending_ = head + pad + total;
  return at + sizeof header;
}

std::span<const char> Ring::next(std::uint64_t& at) const {
  const std::uint64_t end = head_.load(std::memory_order_acquire);
  while (at != end) {
    const char* here = bytes_ + (at & mask_);
    Header header{};
    std::memcpy(&header, here, sizeof header);
    at += sizeof header + rounded(header.size);
    if (header.is_pad == 0) {
      return {here + sizeof header, header.size};
    }
  }
  return {};
}

}  // namespace msp::audit
