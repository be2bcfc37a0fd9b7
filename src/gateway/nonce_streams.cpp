// SPDX-License-Identifier: Apache-2.0
#include "gateway/nonce_streams.h"

#include <algorithm>
#include <utility>

namespace msp::gateway {

NonceStreams::Use NonceStreams::take(std::uint64_t stream, std::uint64_t counter, std::uint64_t now_ms,
                                     std::uint64_t keep_ms) {
  auto found = std::ranges::find(open_, stream, &Stream::id);
  if (found == open_.end()) {
    if (std::ranges::find(closed_, stream, &Stream::id) != closed_.end()) {
      return Use::kTooOld;
    }
    Stream* const opened = open(stream, now_ms, keep_ms);
    if (opened == nullptr) {
      return Use::kTooMany;
    }
    found = open_.end() - 1;
  }
  found->last_ms = now_ms;
  return take(*found, counter);
}

NonceStreams::Stream* NonceStreams::open(std::uint64_t id, std::uint64_t now_ms, std::uint64_t keep_ms) {
  const auto forgotten = [&](const Stream& one) { return now_ms - one.last_ms > keep_ms; };
  std::erase_if(open_, forgotten);
  if (open_.size() == kMostOpen) {
    std::erase_if(closed_, forgotten);
    if (closed_.size() == kMostClosed) {
      return nullptr;
    }
    const auto oldest = std::ranges::min_element(open_, {}, &Stream::last_ms);
    closed_.push_back(Stream{.id = oldest->id, .last_ms = oldest->last_ms, .highest = 0, .used = nullptr});
    open_.erase(oldest);
  }
  return &open_.emplace_back(Stream{.id = id, .last_ms = now_ms, .highest = 0, .used = std::make_unique<Bits>()});
}

NonceStreams::Use NonceStreams::take(Stream& stream, std::uint64_t counter) {
  Bits& used = *stream.used;
  if (counter > stream.highest) {
    // What lies between has not been used: its places may still say so of counters a window ago.
    const std::uint64_t step = std::min<std::uint64_t>(counter - stream.highest, kWindow);
    for (std::uint64_t i = 0; i < step; ++i) {
      const std::uint64_t at = (counter - i) % kWindow;
      used[at / kWordBits] &= ~(std::uint64_t{1} << (at % kWordBits));
    }
    stream.highest = counter;
  } else if (stream.highest - counter >= kWindow) {
    return Use::kTooOld;
  }
  const std::uint64_t at = counter % kWindow;
  const std::uint64_t bit = std::uint64_t{1} << (at % kWordBits);
  return std::exchange(used[at / kWordBits], used[at / kWordBits] | bit) & bit ? Use::kAgain : Use::kFirst;
}

}  // namespace msp::gateway
