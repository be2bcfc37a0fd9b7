// SPDX-License-Identifier: Apache-2.0
#include "gateway/unknown_callers.h"

#include <algorithm>

namespace msp::gateway {

bool UnknownCallers::asked(const Ipv4Address& address, std::string_view network, std::int64_t now_ns) {
  auto caller = std::ranges::find_if(
      callers_, [&](const Caller& each) { return each.address == address && each.network == network; });
  const bool fresh = caller == callers_.end();
  if (fresh) {
    if (callers_.size() == kMost) {
      callers_.erase(std::ranges::min_element(callers_, {}, &Caller::last_ns));
    }
    callers_.push_back({.address = address, .network = std::string(network)});
    caller = callers_.end() - 1;
  }
  ++caller->requests;
  caller->last_ns = now_ns;
  return fresh;
}

void UnknownCallers::forget(const Ipv4Address& address, std::string_view network) {
  std::erase_if(callers_, [&](const Caller& caller) {
    return caller.address == address && (network.empty() || caller.network == network);
  });
}

}  // namespace msp::gateway
