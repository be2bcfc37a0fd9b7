// SPDX-License-Identifier: Apache-2.0
// Why the host refuses a request: one code per cause, stable and documented in docs/host.md, with status and advice.
// Values; any thread.
// Nothing fails.
#pragma once

#include <cstdint>
#include <string_view>

namespace msp::gateway {

enum class Reason : std::uint8_t {
  kNone,
  // who is calling
  kUnknownCaller,
  kForwardedRequest,
  // verification (protocol.md D.11)
  kUnsigned,
  kDuplicateTrustedHeader,
  kBadAuthorizationHeader,
  kUnknownKey,
  kKeyEnded,
  kForeignKey,
  kKeyNotLatched,
  kUnsignableHeader,
  kBadSignature,
  kRepeatedHeader,
  kBadClaims,
  kBadDate,
  kStaleDate,
  kNotElevated,
  // extensions (docs/request-extensions.md)
  kBadCaller,
  kBadNonce,
  kNonceMissing,
  kNonceStale,
  kNonceTooOld,
  kReplayed,
  kTooManyStreams,
  // secure channel (protocol.md C.7)
  kChannelDisabled,
  kKeyLatched,
  kKeyRequestMalformed,
  kStoreFailed,
  kHostEnding,
  // form of the request
  kBadTarget,
  kNotFound,
  kMethodNotAllowed,
  kBodyTooLarge,
  kBodyUnreadable,
  kMetadataHeaderMissing,
  kApiVersion,
  kBadQuery,
  // WireServer and HostGAPlugin
  kVersionHeaderMissing,
  kStaleGoalState,
  kWrongContainer,
  kBadCertificate,
  kBadReport,
  // IMDS
  kNoIdentity,
  kTooMany,
  // a service behind this host
  kUpstreamDown,
  kUpstreamSlow,
  kUpstreamBad,
  kCount,
};

inline constexpr std::size_t kReasonCount = static_cast<std::size_t>(Reason::kCount);

struct ReasonFacts {
  std::string_view code;    ///< snake_case, stable
  int status;               ///< HTTP status of the refusal
  std::string_view advice;  ///< what happened and what to do; safe for every client to read
  std::string_view remedy;  ///< what the host's operator does about it, or has done in the machine
};

const ReasonFacts& facts(Reason reason);
inline std::string_view to_string(Reason reason) { return facts(reason).code; }

}  // namespace msp::gateway
