// SPDX-License-Identifier: Apache-2.0
// Must not compile with MSP_FORGE: a Permit that no decision has made. Without it, it must: the check itself is alive.
#include "policy/engine.h"

namespace msp::policy {

/// Stands for signer and forwarder.
void endorse(Permit) {}

void serve(const identity::ConnectionIdentity& caller, const RequestView& request, const Snapshot& snapshot) {
  Decision decision = decide(caller, request, snapshot);
#if MSP_FORGE == 1
  endorse(Permit());
#elif MSP_FORGE == 2
  endorse({});
#elif MSP_FORGE == 3
  endorse(std::get<Permit>(decision));
#elif MSP_FORGE == 4
  endorse(decision);
#elif MSP_FORGE == 5
  endorse(Engine::permitted(Ground::kRule, request, nullptr));
#else
  if (auto* permit = std::get_if<Permit>(&decision)) {
    endorse(std::move(*permit));
  }
#endif
}

}  // namespace msp::policy
