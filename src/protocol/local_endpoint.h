// SPDX-License-Identifier: Apache-2.0
// The paths that the agent answers itself on connections to its listener (protocol.md G, L.17).
// Pure; any thread; targets are untrusted and already parsed. Nothing fails.
#pragma once

#include <cstdint>
#include <optional>

#include "http/target.h"

namespace msp::protocol {

enum class LocalEndpoint : std::uint8_t {
  kProvision,        ///< "/provision": for everybody
  kAggregateStatus,  ///< "/gpa-aggregated-status": for uid 0
};

/// Path byte for byte, origin-form, no query; a lone '?' and a fragment are tolerated. Nothing: none of them.
inline std::optional<LocalEndpoint> local_endpoint(const http::Target& target) {
  if (target.form != http::TargetForm::kOrigin || !target.query.empty()) {
    return std::nullopt;
  }
  if (target.path == "/provision") {
    return LocalEndpoint::kProvision;
  }
  if (target.path == "/gpa-aggregated-status") {
    return LocalEndpoint::kAggregateStatus;
  }
  return std::nullopt;
}

}  // namespace msp::protocol
