// SPDX-License-Identifier: Apache-2.0
// What both directions of a relayed body share: chunk framing, and how much is moved before others get a turn.
// Values on the data loop.
// Cannot fail.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

namespace msp::proxy {

/// Pieces moved without a wait before others get a turn: 1 MiB.
inline constexpr unsigned kPiecesPerTurn = 16;
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// The size line in front of a chunk's data.
struct ChunkHead {
  char text[20];
  std::size_t size;
  explicit ChunkHead(std::size_t bytes)
      : size(static_cast<std::size_t>(fmt::format_to_n(text, sizeof(text), "{:x}\r\n", bytes).size)) {}
  std::string_view view() const { return {text, size}; }
};

}  // namespace msp::proxy
