// SPDX-License-Identifier: Apache-2.0
// What the data path counts, in memory that another process may read.
// Made by the assembly, written by one data loop, read by any thread; a new data loop goes on where the last has ended.
// Never fails; to whom reads them from another process they are numbers that may be wrong.
#pragma once

#include <algorithm>
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

/// Of the last request of each service that says something of it. A service that is only audited at the host takes any
/// signature, so it takes nothing back that another has refused.
class KeyOutcomes {
 public:
  void note(Service service, std::string_view key_guid, KeyOutcome outcome, std::uint64_t now_ms) {
    last_[static_cast<std::size_t>(service)].store(
        marked(key_guid) | (now_ms / kGrainMs % kTimes) << kOutcomeBits | static_cast<std::uint64_t>(outcome),
        std::memory_order_relaxed);
  }
  void forget() {
    for (auto& last : last_) {
      last.store(0, std::memory_order_relaxed);
    }
  }
  /// `verifies`: the host enforces there. kRefused: by any service, and none of these has taken it since.
  KeyOutcome of(std::string_view key_guid, const std::array<bool, kServiceCount>& verifies) const {
    std::uint64_t refused = 0;
    std::uint64_t taken = 0;
    KeyOutcome found = KeyOutcome::kUnknown;
    for (std::size_t i = 0; i < kServiceCount; ++i) {
      const std::uint64_t value = last_[i].load(std::memory_order_relaxed);
      const auto outcome = static_cast<KeyOutcome>(value % (1U << kOutcomeBits));
      if (outcome == KeyOutcome::kUnknown || value >> kNameAt != marked(key_guid) >> kNameAt) {
        continue;
      }
      const std::uint64_t at = value % kNamed + 1;
      refused = outcome == KeyOutcome::kRefused ? std::max(refused, at) : refused;
      taken = outcome == KeyOutcome::kTaken && verifies[i] ? std::max(taken, at) : taken;
      found = KeyOutcome::kTaken;
    }
    return refused > taken ? KeyOutcome::kRefused : found;
  }

 private:
  // One number for each service, so that nobody reads what came of one key as that of another: 32 bits of the key's
  // name, 30 of the time, two of the outcome.
  static constexpr unsigned kOutcomeBits = 2;
  static constexpr unsigned kNameAt = 32;
  static constexpr std::uint64_t kNamed = std::uint64_t{1} << kNameAt;
  static constexpr std::uint64_t kTimes = kNamed >> kOutcomeBits;  // three years of them
  static constexpr std::uint64_t kGrainMs = 100;
  static std::uint64_t marked(std::string_view key_guid) {
    return std::uint64_t{std::hash<std::string_view>{}(key_guid)} / kNamed * kNamed;
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
  std::atomic<std::uint64_t> stripped{0};       ///< requests that came with headers that are ours alone
  std::atomic<std::uint64_t> overloaded_ms{0};  ///< CLOCK_BOOTTIME: when one was last refused as all places were taken
  KeyOutcomes key;
};

}  // namespace msp::proxy
