// SPDX-License-Identifier: Apache-2.0
// The decision: may this caller send this request to this service? (protocol.md E.4, design P1)
// Pure: no I/O, no clock, no state; called by the data loop for every request, and by tools that explain. Any thread.
// Unknown callers, unusable rules and requests without canonical form (where that decides) are denied, never an error.
#pragma once

#include <string_view>

#include "identity/connection_identity.h"
#include "policy/permit.h"
#include "policy/snapshot.h"
#include "request/canonical_request.h"

namespace msp::policy {

/// What of a request rules look at. Views into the exchange; bytes from the client, checked by http and request before.
struct RequestView {
  Service service = Service::kImds;  ///< from the recorded original destination, never from `Host` or the target
  bool exempt = false;               ///< protocol.md D.8, method and whole target
  std::string_view method = {};      ///< as received; only rules that name methods look at it
  std::string_view path;             ///< raw, as received
  std::string_view query;            ///< raw, without '?'
  /// Null: there is none (`fault` says why), or with Matching::kOff it was not made.
  const request::CanonicalRequest* canonical = nullptr;
  request::Fault fault = request::Fault::kNone;
};

class Engine {
 public:
  /// Takes no memory (policy/scratch.h: but for some thousand query pairs in one target).
  static Decision decide(const identity::ConnectionIdentity& caller, const RequestView& request,
                         const Snapshot& snapshot);

 private:
  /// The only place where a Permit comes into being.
  static Permit permitted(Ground ground, const RequestView& request, const std::shared_ptr<const RuleSet>& rules);
};

inline Decision decide(const identity::ConnectionIdentity& caller, const RequestView& request,
                       const Snapshot& snapshot) {
  return Engine::decide(caller, request, snapshot);
}

}  // namespace msp::policy
