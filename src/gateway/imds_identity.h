// SPDX-License-Identifier: Apache-2.0
// /metadata/identity/…: tokens of the machine's managed identities, with the errors that SDKs know.
// Pure function on the loop's thread; a token is signed while its request is answered.
// Bytes are from a client in the guest.
#pragma once

#include "gateway/answer.h"
#include "gateway/asked.h"
#include "gateway/imds_query.h"

namespace msp::gateway {

inline constexpr std::string_view kIdentityPath = "/metadata/identity/";

/// For paths below kIdentityPath, after what holds for all of IMDS was checked.
Answer answer_identity(const Asked& asked, const ImdsQuery& query);

}  // namespace msp::gateway
