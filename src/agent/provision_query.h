// SPDX-License-Identifier: Apache-2.0
// Asks a running agent whether provisioning is over: `--status [--wait N]` (protocol.md G.1, H.1), as cloud-init does.
// Called by the command line, in a process that runs no agent itself; blocks until there is an answer or no time left.
// A try that fails is told and repeated, never an error: the agent may not have started yet.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/net.h"
#include "base/result.h"

namespace msp::agent {

struct ProvisionQuery {
  Ipv4Endpoint agent;                 ///< its listener
  std::uint64_t began_ms = 0;         ///< CLOCK_BOOTTIME of this process's start
  std::optional<std::uint32_t> wait;  ///< seconds since then; none: one try
  std::int64_t tick_ns = 0;           ///< since 1970: only an end of provisioning after it counts (G.1)
};

/// Not finished: the message is empty.
struct ProvisionState {
  bool finished = false;
  std::string error_message;
};

/// `failed` hears of each try that got no usable answer.
ProvisionState query_provision(const ProvisionQuery& query, const std::function<void(const Error&)>& failed);

/// The exit code of H.1: 0 finished, 1 not finished, 2 finished with an error.
int exit_code(const ProvisionState& state);

}  // namespace msp::agent
