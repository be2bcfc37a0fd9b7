// SPDX-License-Identifier: Apache-2.0
// What rules hold, as files in the existing agent's format (protocol.md H.5): AuthorizationRules_<time>.json.
// Control thread; writing blocks on the disk.
// For people and support tools: nothing reads them back, failure harms nothing. They show rule content (L.21), so they
// are for root and its group.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/net.h"
#include "base/rules_document.h"
#include "policy/snapshot.h"

namespace msp::rules {

/// Effective items, after local rule files; absent: the host has none for the service. Index: Service.
using EffectiveItems = std::array<std::optional<RuleItem>, kServiceCount>;

/// Pretty JSON: `inputRules` as given, `computedRules` as the field computes them. Assignments that deny or only run
/// dry stand in inputRules alone: the field's form knows none, and showing them as assignments would say that they
/// allow.
std::string dump_text(const EffectiveItems& items, const policy::Snapshot& rules);

/// Their names begin so.
inline constexpr std::string_view kDumpPrefix = "AuthorizationRules_";
inline constexpr std::size_t kMostDumps = 5;
/// A new file in `folder`; the oldest by name beyond kMostDumps go.
Result<void> write_dump(const std::string& folder, const std::string& text, std::int64_t unix_ns);

}  // namespace msp::rules
