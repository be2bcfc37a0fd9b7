// SPDX-License-Identifier: Apache-2.0
// The secure channel's host side: status, key issue, attestation (protocol.md B, C.7).
// Owned by the gateway; loop's thread. Status touches no disk, but where it is signed with a key of before; issue and
// attestation wait for one disk sync each. Bytes are from anybody in the guest. A key that is latched is never handed
// out; a store that fails changes nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/answer.h"
#include "gateway/asking.h"
#include "gateway/key_ring.h"
#include "gateway/status_waits.h"
#include "gateway/verifier.h"
#include "gateway/vm_registry.h"
#include "protocol/status_signature.h"
#include "protocol/wait.h"

namespace msp::gateway {

class ChannelApi {
 public:
  /// `keys_per_second`: so many are issued for each machine at most; 0: no limit.
  ChannelApi(KeyRing& keys, Verifier& verifier, StatusWaits& waits, const Clock& clock, const Asking& asking,
             std::uint64_t keys_per_second)
      : keys_(keys),
        verifier_(verifier),
        waits_(waits),
        clock_(clock),
        asking_(asking),
        keys_per_second_(keys_per_second) {}

  /// True for every path that belongs to the channel, known or not, and for what a service behind this host could read
  /// as one: those are not found, and nobody answers them in this host's place.
  static bool owns(std::string_view path);
  /// What the request asks to wait for; nothing: it is no status request, or asks for none.
  static std::optional<protocol::Wait> asked_wait(const http::Request& request);
  Answer handle(Vm& vm, const http::Request& request);

 private:
  struct StatusParts;
  Answer status(Vm& vm, const http::Request& request);
  void sign(Vm& vm, const http::Request& request, const StatusParts& parts, http::Response& response);
  Answer issue(Vm& vm, const http::Request& request);
  Answer attest(Vm& vm, std::string_view guid, const http::Request& request);
  void alarm(const Vm& vm, const http::Request& request);
  void note_asker(Vm& vm, std::string_view run);
  void sign_next(const Vm& vm, const protocol::SignRequest& asked, std::string_view next,
                 const protocol::SignedStatus& status, http::Response& response);

  KeyRing& keys_;
  Verifier& verifier_;
  StatusWaits& waits_;
  const Clock& clock_;
  Asking asking_;
  std::uint64_t keys_per_second_;
  log::RateLimit alarms_{10, 60'000};
  log::RateLimit failures_{10, 60'000};
};

/// The status document of a machine, version 2.0 (protocol.md B.2, C.7.7).
std::string status_document(const Vm& vm);
/// Changes whenever the document does; says nothing else.
std::string status_tag(std::string_view document);

}  // namespace msp::gateway
