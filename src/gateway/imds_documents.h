// SPDX-License-Identifier: Apache-2.0
// IMDS beyond the instance: /metadata/attested/document, /metadata/scheduledevents, /metadata/loadbalancer.
// On the loop's thread; approving an event changes it, nothing else changes anything.
// Bytes are from a client in the guest.
#pragma once

#include "gateway/answer.h"
#include "gateway/asked.h"
#include "gateway/imds_query.h"

namespace msp::gateway {

inline constexpr std::string_view kEventsPath = "/metadata/scheduledevents";
inline constexpr std::string_view kAttestedPath = "/metadata/attested/document";
inline constexpr std::string_view kLoadBalancerPath = "/metadata/loadbalancer";

/// Each for its path, after what holds for all of IMDS was checked. Events take POST, too.
Answer answer_events(const Asked& asked, const ImdsQuery& query);
Answer answer_attested(const Asked& asked, const ImdsQuery& query);
Answer answer_load_balancer(const Asked& asked, const ImdsQuery& query);

}  // namespace msp::gateway
