// SPDX-License-Identifier: Apache-2.0
// Gathers what protects this machine into one plain value, for mspctl, the status file and the local endpoint.
// Control thread; reads snapshots and counters of the other threads, never their state.
// Never fails: what cannot be read is said in the value.
#pragma once

#include <cstdint>
#include <string>

#include "agent/config.h"
#include "audit/log.h"
#include "channel/state.h"
#include "identity/names.h"
#include "intercept/interceptor.h"
#include "proxy/data_plane.h"
#include "rules/publisher.h"
#include "status/snapshot.h"

namespace msp::agent {

/// All pointers may be null.
struct SnapshotParts {
  const Config* config = nullptr;
  const intercept::Interceptor* hooks = nullptr;
  std::string hooks_message;
  const channel::ChannelState* channel = nullptr;
  const rules::Publisher* rules = nullptr;
  const proxy::Counters* counters = nullptr;
  const audit::Log* audit = nullptr;
  const identity::NameTable* names = nullptr;
  std::uint64_t uptime_s = 0;
  std::int64_t now_ns = 0;   ///< CLOCK_REALTIME
  std::int64_t boot_ms = 0;  ///< CLOCK_BOOTTIME
};

status::Snapshot make_snapshot(const SnapshotParts& parts);

}  // namespace msp::agent
