// SPDX-License-Identifier: Apache-2.0
// What the data path counts, in memory that another process may read.
// Made by the assembly, written by one data loop, read by any thread; a new data loop goes on where the last has ended.
// Never fails; to whom reads them from another process they are numbers that may be wrong.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>

#include "base/net.h"

namespace msp::proxy {

/// What the host made of what was signed with a key.
enum class KeyOutcome : std::uint8_t { kUnknown, kTaken, kRefused };

/// Of the last request of each service that says something of it: a service that is only audited takes any signature,
/// so it takes nothing back that another has refused.
class KeyOutcomes {
 public:
  void note(Service service, std::string_view key_guid, KeyOutcome outcome) {
    last_[static_cast<std::size_t>(service)].store(marked(key_guid, outcome), std::memory_order_relaxed);
  }
  void forget() {
    for (auto& last : last_) {
      last.store(0, std::memory_order_relaxed);
    }
  }
  /// kRefused where any service did last.
  KeyOutcome of(std::string_view key_guid) const {
    KeyOutcome found = KeyOutcome::kUnknown;
    for (const auto& last : last_) {
      const std::uint64_t value = last.load(std::memory_order_relaxed);
      if (value == marked(key_guid, KeyOutcome::kRefused)) {
        return KeyOutcome::kRefused;
      }
      found = value == marked(key_guid, KeyOutcome::kTaken) ? KeyOutcome::kTaken : found;
    }
    return found;
  }

 private:
  /// One number, so that nobody reads what came of one key as that of another.
  static std::uint64_t marked(std::string_view key_guid, KeyOutcome outcome) {
    constexpr std::uint64_t kOutcomeBits = 3;
    return (std::hash<std::string_view>{}(key_guid) & ~kOutcomeBits) | static_cast<std::uint64_t>(outcome);
  }

  std::array<std::atomic<std::uint64_t>, kServiceCount> last_{};  ///< index: Service
};

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
  KeyOutcomes key;
};

}  // namespace msp::proxy
