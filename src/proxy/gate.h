// SPDX-License-Identifier: Apache-2.0
// What the control path has decided for the data path: rules, key, and whether the gate is open, as one immutable
// value. Made by the control thread, installed on the data loop by DataPlane::install(); each request uses the newest
// one. A default-made gate is not ready: nothing passes (design P4).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "channel/state.h"
#include "policy/snapshot.h"

namespace msp::proxy {

enum class Readiness : std::uint8_t {
  kNotReady,  ///< closed: no key, or no rules yet; requests are held for a moment, then refused
  kSign,      ///< forwarded with an endorsement
  kUnsigned,  ///< the host says that the channel is disabled: rules and claims, no endorsement
};

/// What becomes of a request that rules allow, as the control socket says it.
constexpr std::string_view to_string(Readiness readiness) {
  return readiness == Readiness::kSign ? "signed" : readiness == Readiness::kUnsigned ? "unsigned" : "not_ready";
}

struct Gate {
  Readiness readiness = Readiness::kNotReady;
  std::shared_ptr<const channel::Key> key;        ///< with kSign
  std::shared_ptr<const policy::Snapshot> rules;  ///< null: not ready
  protocol::Asks asks;                            ///< with kSign: what the host wants to be told and signed as well
  /// Milliseconds to add to CLOCK_BOOTTIME to get the host's UTC (protocol.md D.5, L.34); none: the system clock.
  std::optional<std::int64_t> host_time_offset_ms;
};

}  // namespace msp::proxy
