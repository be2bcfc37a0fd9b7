// SPDX-License-Identifier: Apache-2.0
// The instance metadata service: /metadata/instance and /metadata/versions (public contract), from a machine's model.
// Pure functions on the loop's thread; called only for requests that may be served.
// Bytes are from a client in the guest; errors have the bodies of the public contract.
#pragma once

#include "gateway/answer.h"
#include "gateway/vm_registry.h"

namespace msp::gateway {

Answer answer_imds(const Vm& vm, const http::Request& request);

}  // namespace msp::gateway
