// SPDX-License-Identifier: Apache-2.0
// The long poll, an extension of ours that both sides may ignore (docs/long-poll.md): one header on the status request
// and on its answer, "<tag> <seconds>". Pure functions; any thread.
// What has not this form counts as not there, so that a peer that means something else by it is a peer without it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace msp::protocol {

inline constexpr std::string_view kWaitHeader = "x-ms-openmsp-wait";
/// Of an agent that has none yet: every status differs from it.
inline constexpr std::string_view kNoTag = "-";
inline constexpr std::uint32_t kMostWaitSeconds = 30;

struct Wait {
  /// Request: that of the last answer. Answer: of this one. Opaque to agents; letters, digits, "-", ".", "_".
  std::string tag;
  /// Request: how long the answer may be held while the status still has this tag. Answer: the most that is granted.
  std::uint32_t seconds = 0;

  bool operator==(const Wait&) const = default;
};

std::optional<Wait> parse_wait(std::string_view text);
std::string format_wait(const Wait& wait);

}  // namespace msp::protocol
