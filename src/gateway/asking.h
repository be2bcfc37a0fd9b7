// SPDX-License-Identifier: Apache-2.0
// What this host asks of signed requests beyond the field's protocol, for each machine (docs/request-extensions.md).
// A value, made at the start; loop's thread.
// Nothing fails.
#pragma once

#include <cstdint>

#include "gateway/config.h"
#include "gateway/vm_registry.h"
#include "protocol/extensions.h"

namespace msp::gateway {

struct Asking {
  ReplayProtection replay = ReplayProtection::kOff;
  CallerHeader caller = CallerHeader::kNever;
  std::uint64_t epoch = 0;  ///< random, of this start: what was signed for an earlier one is stale

  /// What is known of a machine's nonces goes with it, and its key may come back: each arrival has an epoch of its own.
  std::uint64_t epoch_of(const Vm& vm) const { return epoch + vm.moves; }

  protocol::Asks of(const Vm& vm) const {
    const bool audits = vm.imds.mode == Mode::kAudit || vm.wire_server.mode == Mode::kAudit;
    return {.epoch = replay == ReplayProtection::kOff ? std::nullopt : std::optional(epoch_of(vm)),
            .caller = caller == CallerHeader::kAlways || (caller == CallerHeader::kAudit && audits)};
  }
};

}  // namespace msp::gateway
