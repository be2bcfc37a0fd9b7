// SPDX-License-Identifier: Apache-2.0
// What the parts of the host make of a request: an answer, and the reason if it is a refusal.
// Values on the loop's thread.
// Building one never fails.
#pragma once

#include <string_view>

#include "gateway/reason.h"
#include "http/message.h"

namespace msp::gateway {

struct Answer {
  http::Response response;
  Reason reason = Reason::kNone;
};

/// Our error form (protocol.md J.2) with the status, code and advice of the reason.
Answer refuse(const http::Request& request, Reason reason);
/// 429 with when to come again.
Answer refuse_too_many(const http::Request& request, std::uint64_t wait_seconds);
/// 405 with the methods that the path has.
Answer refuse_method(const http::Request& request, std::string_view allowed);

}  // namespace msp::gateway
