// SPDX-License-Identifier: Apache-2.0
// The instance metadata service (public contract), from a machine's model: what holds for all of it, and the way to its
// parts. Pure function on the loop's thread; called only for requests that may be served.
// Bytes are from a client in the guest; errors have the bodies of the public contract.
#pragma once

#include "gateway/answer.h"
#include "gateway/asked.h"

namespace msp::gateway {

/// True for a request that has passed a proxy, by a header of any spelling (attacks C10).
bool is_forwarded(const http::Request& request);

Answer answer_imds(const Asked& asked);

}  // namespace msp::gateway
