// SPDX-License-Identifier: Apache-2.0
// What a guest is told of its model, and how that differs between two models: for operators who want to know before
// they apply one. Pure functions of values; any thread.
// Nothing fails.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/vm_registry.h"

namespace msp::gateway {

struct Difference {
  std::string what;  ///< "enabled", "imds.mode", "imds.rules.privileges.token", "keyIncarnationId"
  std::string from;  ///< empty: was not there
  std::string to;    ///< empty: is not there any more
};

struct GuestChange {
  std::string name;
  std::string vm_id;
  std::vector<Difference> differences;
};

/// `before` or `after` may be null: the machine comes or goes. Empty differences: the guest notices nothing.
GuestChange guest_change(const Vm* before, const Vm* after);

/// "enforce", "audit", "disabled".
std::string_view mode_of(const Vm& vm, Service service);

}  // namespace msp::gateway
