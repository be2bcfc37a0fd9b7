// SPDX-License-Identifier: Apache-2.0
// Whether this program may take over what an earlier one, older or newer, left pinned: versions, maps and links are
// compared before anything is touched (docs/decisions/contract-versions.md).
// Stateless; control thread. A refusal leaves the hooks as they are, which is closed, and says what to do.
#pragma once

#include <bpf/libbpf.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "intercept/pins.h"

namespace msp::intercept {

/// Which versions a program knows of itself, and what stands in pinned settings.
struct ContractVersion {
  std::uint32_t version = 0;
  std::uint32_t takes_from = 0;  ///< of a program: the oldest version whose pins it takes over
  std::uint32_t leaves_to = 0;   ///< of either: the oldest version that may take over its pins
};

/// The newer one of the two decides: it alone knows both.
bool may_take_over(const ContractVersion& program, const ContractVersion& pinned);

/// True if there is something to take over and it may be, false if there is nothing. `object` is opened, not loaded.
Result<bool> check_takeover(const Pins& pins, const bpf_object* object);

/// An error where `program` (opened, not attached) hangs on the cgroup already with a link that is not pinned as
/// `link`: hooks of another agent, or of this one from when it had other pins. Two on one cgroup shut each other out.
Result<void> check_alone(const Pins& pins, const std::string& link, int cgroup, const bpf_program* program);

/// Notes in the pinned settings whose programs are about to come; what is guarded stays. None there is no error.
Result<void> claim(int settings_map);

}  // namespace msp::intercept
