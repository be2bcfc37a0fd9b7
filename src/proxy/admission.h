// SPDX-License-Identifier: Apache-2.0
// The steps between a parsed head and a decision, in the order of protocol.md J and J.2, and what they leave in the
// audit record. Pure functions on the exchange; called by the session on the data loop.
// Every refusal is an Answer with its stable code; nothing here blocks or allocates for ordinary requests.
#pragma once

#include <expected>
#include <optional>

#include "audit/record.h"
#include "identity/connection_identity.h"
#include "policy/engine.h"
#include "proxy/answer.h"
#include "proxy/exchange.h"
#include "proxy/settings.h"
#include "request/canonical_request.h"

namespace msp::proxy {

/// Target, framing and size limits (rows 1 to 4), then method (row 5).
std::optional<Answer> read_request(Exchange& x, const Settings& settings);

/// Where a connection was going.
struct Addressed {
  Service service = Service::kImds;
  request::Addressee to;
};
/// That, or why nobody knows (row 9).
std::expected<Addressed, Answer> addressee(const identity::ConnectionIdentity& caller, std::optional<Service> service,
                                           const Settings& settings);

/// Who connects to the listener itself names that, or `localhost`.
request::Addressee at_listener(const Ipv4Endpoint& listener);

/// Host, authority, traversal (row 6), the closed secure channel, headers; computes the canonical form.
std::optional<Answer> screen_request(Exchange& x, const request::Addressee& to);

policy::Decision decide(const Exchange& x, const identity::ConnectionIdentity& caller,
                        const policy::Snapshot& snapshot);
Answer denial_answer(const policy::Denial& denial);

void note(audit::Record& record, const policy::Permit& permit);
void note(audit::Record& record, const policy::Denial& denial);
/// `x`: null when there was no head.
void fill_caller(audit::Record& record, const identity::ConnectionIdentity& caller, const Exchange* x,
                 std::optional<Service> service);

}  // namespace msp::proxy
