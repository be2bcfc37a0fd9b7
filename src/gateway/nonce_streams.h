// SPDX-License-Identifier: Apache-2.0
// Which nonces of one virtual machine have been used (docs/request-extensions.md): for each stream, which is one start
// of its agent, a window of counters as in RFC 6479.
// Owned by the machine; loop's thread. Only what is signed by the machine's key comes here.
// Bounded: a machine that starts ever new streams is refused, never another machine's memory taken.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace msp::gateway {

class NonceStreams {
 public:
  enum class Use : std::uint8_t {
    kFirst,    ///< noted: it is never the first again
    kAgain,    ///< a replay
    kTooOld,   ///< behind the window, or of a stream that has been closed: nobody can tell
    kTooMany,  ///< another stream than those that are still remembered, and there is no room for it
  };
  /// Times in ms, of one clock that never goes back. What is as old as `keep_ms` is refused by its date, so its stream
  /// may be forgotten.
  Use take(std::uint64_t stream, std::uint64_t counter, std::uint64_t now_ms, std::uint64_t keep_ms);

  /// Counters may arrive out of order by nearly so much.
  static constexpr std::size_t kWindow = 8192;
  /// The agent and the one that takes its place, twice.
  static constexpr std::size_t kMostOpen = 4;
  static constexpr std::size_t kMostClosed = 4096;

 private:
  static constexpr std::size_t kWordBits = 64;
  using Bits = std::array<std::uint64_t, kWindow / kWordBits>;

  struct Stream {
    std::uint64_t id = 0;
    std::uint64_t last_ms = 0;
    std::uint64_t highest = 0;
    std::unique_ptr<Bits> used;  ///< of `highest` and those before it, at their counter modulo the window; null: closed
  };
  static Use take(Stream& stream, std::uint64_t counter);
  Stream* open(std::uint64_t id, std::uint64_t now_ms, std::uint64_t keep_ms);

  std::vector<Stream> open_;
  std::vector<Stream> closed_;
};

}  // namespace msp::gateway
