// SPDX-License-Identifier: Apache-2.0
// What the data path counts, in memory that another process may read.
// Made by the assembly, written by one data loop, read by any thread; a new data loop goes on where the last has ended.
// Never fails; to whom reads them from another process they are numbers that may be wrong.
#pragma once

#include <atomic>
#include <cstdint>

namespace msp::proxy {

/// Since start.
struct Counters {
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> connections_open{0};
  std::atomic<std::uint64_t> connections_refused{0};  ///< too many
  std::atomic<std::uint64_t> requests{0};             ///< complete heads
  std::atomic<std::uint64_t> served{0};               ///< answered by the metadata service
  std::atomic<std::uint64_t> host_refused{0};         ///< answered by it with a refusal (protocol::is_host_refusal)
  std::atomic<std::uint64_t> denied{0};               ///< by identity or policy
  std::atomic<std::uint64_t> malformed{0};
  std::atomic<std::uint64_t> not_ready{0};
  std::atomic<std::uint64_t> upstream_failed{0};
  std::atomic<std::uint64_t> local{0};
  std::atomic<std::uint64_t> stripped{0};  ///< requests that came with headers that are ours alone
};

}  // namespace msp::proxy
