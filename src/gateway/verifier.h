// SPDX-License-Identifier: Apache-2.0
// Checks that the agent of a virtual machine has endorsed a request, over the bytes as received (protocol.md D.11).
// Owned by the gateway; loop's thread. No code of the guest's decision path, no disk, no lock; allocates only to grow.
// Bytes are from whoever reaches the host. Every failure is a Reason of its own; signatures are compared in constant
// time.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "gateway/asking.h"
#include "gateway/key_ring.h"
#include "gateway/reason.h"
#include "gateway/vm_registry.h"
#include "http/message.h"
#include "protocol/string_to_sign.h"

namespace msp::gateway {

struct Verdict {
  Reason reason = Reason::kNone;
  bool elevated = false;                                  ///< the claim, when the reason is kNone: uid 0 in the guest
  std::optional<protocol::Caller> caller = std::nullopt;  ///< where the signature fits, and the agent has named it
};

class Verifier {
 public:
  Verifier(KeyRing& keys, const Clock& clock, std::uint32_t date_window_seconds, const Asking& asking = {})
      : keys_(keys), clock_(clock), date_window_(date_window_seconds), asking_(asking) {}

  /// Accepts the machine's latched key only, and each nonce once. `request.body` is the whole body.
  Verdict verify(Vm& vm, const http::Request& request);
  /// False: whatever its body is, verify() refuses it.
  bool may_verify(const http::Request& request) const;
  /// For the attestation of `guid`: accepts exactly this key, pending or latched, of this machine.
  Verdict verify_attestation(const Vm& vm, std::string_view guid, const http::Request& request);

 private:
  struct Trusted;
  static Reason find_trusted(const http::HeaderList& headers, Trusted& trusted);
  Reason why_not_latched(const Vm& vm, const Trusted& trusted, const http::Request& request);
  Reason check_signature(LiveKey& key, const Trusted& trusted, const http::Request& request);
  Verdict check(LiveKey& key, const Trusted& trusted, const http::Request& request);
  Reason check_nonce(Vm& vm, const Trusted& trusted) const;

  KeyRing& keys_;
  const Clock& clock_;
  std::int64_t date_window_;
  Asking asking_;
  protocol::StringToSign text_;
};

}  // namespace msp::gateway
