// SPDX-License-Identifier: Apache-2.0
// Reads a file line by line, with a bound on what one line may take.
// Used by one verb; single-threaded, blocks.
// A line beyond the bound is told as such and skipped to its end; a read error ends the stream with an Error.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace msp::cli {

inline constexpr std::size_t kMaxLineBytes = std::size_t{1} << 20;

struct LineSink {
  /// Without its newline; `complete`: there was one.
  std::function<void(std::string_view line, bool complete)> line;
  std::function<void()> too_long;
};

/// "-" is standard input.
Result<void> each_line(const std::string& path, const LineSink& sink);

}  // namespace msp::cli
