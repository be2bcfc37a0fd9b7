// SPDX-License-Identifier: Apache-2.0
// WireServer and HostGAPlugin: the versions that agents ask for first, health, and uploads that are taken and counted.
// Pure functions on the loop's thread; called only for requests that may be served.
// Bytes are from a client in the guest; what is not known is 404 in our error form.
#pragma once

#include "base/net.h"
#include "gateway/answer.h"

namespace msp::gateway {

Answer answer_wireserver(const http::Request& request);
Answer answer_hostga(const http::Request& request);

/// Requests that go unsigned (protocol.md D.8), each only at the service it is meant for.
bool is_exempt(Service service, const http::Request& request);

}  // namespace msp::gateway
