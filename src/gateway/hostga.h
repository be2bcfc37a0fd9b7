// SPDX-License-Identifier: Apache-2.0
// HostGAPlugin: vmSettings, and the status and logs that agents upload.
// Pure function on the loop's thread, but for the reports; called only for requests that may be served.
// Bytes are from a client in the guest; what is not known is 404 in our error form.
#pragma once

#include "gateway/answer.h"
#include "gateway/asked.h"

namespace msp::gateway {

Answer answer_hostga(const Asked& asked);

}  // namespace msp::gateway
