// SPDX-License-Identifier: Apache-2.0
// What the content of a service is asked with: the machine that asks, the request, what else is known, and who signs.
// A value for one request, on the loop's thread.
// Nothing fails.
#pragma once

#include <cstdint>
#include <string_view>

#include "gateway/guest_state.h"
#include "gateway/signers.h"
#include "gateway/vm_registry.h"
#include "http/message.h"

namespace msp::gateway {

struct Asked {
  const Vm& vm;
  const http::Request& request;
  GuestState& state;
  const Signers& signers;
  std::int64_t now_ns;  ///< wall clock

  const content::Machine& machine() const { return vm.content; }
  std::string_view header(std::string_view name) const { return request.head.headers.value(name); }
};

/// The first value of this parameter, as WireServer takes it: further parameters do not matter, names in any case.
std::string_view parameter(std::string_view query, std::string_view name);

}  // namespace msp::gateway
