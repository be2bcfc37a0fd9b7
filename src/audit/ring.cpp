// SPDX-License-Identifier: Apache-2.0
#include "audit/ring.h"

#include <cstring>

namespace msp::audit {
namespace {

struct Header {
  std::uint32_t size;    // of what follows, without rounding
  std::uint32_t is_pad;  // 1: skip to the start of the ring
};

constexpr std::uint64_t rounded(std::uint64_t size) { return (size + 7) & ~std::uint64_t{7}; }

}  // namespace

Ring::Ring(RingPositions& positions, std::span<char> memory)
    : positions_(positions),
      mask_(memory.size() - 1),
      bytes_(memory.data()),
      // A producer that was cut off in between has left nothing; one that wrote nonsense, no position to trust.
      pending_(rounded(positions.head.load(std::memory_order_acquire))),
      seen_tail_(positions.tail.load(std::memory_order_acquire)),
      tail_(seen_tail_) {}

char* Ring::reserve(std::size_t size, std::size_t keep_free) {
  const std::uint64_t head = pending_;
  const std::size_t total = sizeof(Header) + rounded(size);
  const std::size_t room = capacity() - (head & mask_);
  const std::size_t pad = room < total ? room : 0;
  const auto fits = [&] { return head - seen_tail_ + pad + total + keep_free <= capacity(); };
  if (!fits()) {
    seen_tail_ = positions_.tail.load(std::memory_order_acquire);
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

std::span<const char> Ring::next(std::uint64_t& at) {
  const std::uint64_t end = positions_.head.load(std::memory_order_acquire);
  bool sound = end - at <= capacity() && (end & 7) == 0;
  while (sound && at != end) {
    const std::size_t offset = at & mask_;
    Header header{};
    std::memcpy(&header, bytes_ + offset, sizeof header);
    const std::size_t total = sizeof header + rounded(header.size);
    sound = total <= end - at && total <= capacity() - offset;
    if (sound && header.is_pad == 0) {
      copy_.assign(bytes_ + offset + sizeof header, bytes_ + offset + sizeof header + header.size);
    }
    if (sound) {
      at += total;
    }
    if (sound && header.is_pad == 0) {
      return copy_;
    }
  }
  if (!sound) {
    ++spoiled_;
    at = end & ~std::uint64_t{7};
  }
  return {};
}

}  // namespace msp::audit
