// SPDX-License-Identifier: Apache-2.0
// Whether the host takes what is signed with the key in use: where it does not sign its status, its refusals alone
// tell. Owned by the assembly, on the control thread; looks at what the audit log and the worker's counters say. Never
// fails; without an audit log nothing is seen.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "audit/log.h"

namespace msp::agent {

class RefusalWatch {
 public:
  /// Since the look before, with the same key: true: it was refused as none of the host's; false: requests were served,
  /// and none refused so. Nothing: neither, or the key is another. `served`: a count that grows.
  std::optional<bool> look(const void* key, const std::vector<audit::Refusal>& refusals, std::uint64_t served);

 private:
  const void* key_ = nullptr;
  std::int64_t newest_ns_ = 0;
  std::uint64_t served_ = 0;
};

}  // namespace msp::agent
