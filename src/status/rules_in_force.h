// SPDX-License-Identifier: Apache-2.0
// The rules that decide right now, as the control socket shows them: `GET /v1/rules` (docs/status.md).
// Filled by the assembly on the control thread; pure functions, any thread.
// Rule content, so for root alone. What is too large to be shown at once is an Error that says where it stands.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/net.h"
#include "base/result.h"
#include "rules/publisher.h"

namespace msp::status {

struct RulesInForce {
  /// False: the host has not said any yet, so that nothing passes, or nothing is redirected.
  bool in_force = false;
  std::uint64_t generation = 0;  ///< of this run of the agent; grows with each change
  std::string matching = {};     ///< canonicalRequestMode
  std::string requests = {};     ///< "signed", "unsigned" or "not_ready": what becomes of those that rules allow
  rules::EffectiveItems items = {};
  std::array<rules::ServiceReport, kServiceCount> services = {};  ///< index: Service
};

/// More than the rules of any machine have; the control thread stands still while it writes them.
inline constexpr std::size_t kMostRulesBytes = std::size_t{64} << 20;

/// One object that the tools read as rules, as they read the dump of H.5: its `inputRules` are the rules.
Result<std::string> rules_json(const RulesInForce& rules);

}  // namespace msp::status
