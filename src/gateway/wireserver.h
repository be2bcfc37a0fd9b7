// SPDX-License-Identifier: Apache-2.0
// WireServer: versions, goal state and its documents, certificates; and the reports of agents.
// Pure functions on the loop's thread, but for the reports; called only for requests that may be served.
// Bytes are from a client in the guest; what is not known is 404 in our error form.
#pragma once

#include "base/net.h"
#include "gateway/answer.h"
#include "gateway/asked.h"

namespace msp::gateway {

Answer answer_wireserver(const Asked& asked);

/// Requests that go unsigned (protocol.md D.8), each only at the service it is meant for.
bool is_exempt(Service service, const http::Request& request);

}  // namespace msp::gateway
