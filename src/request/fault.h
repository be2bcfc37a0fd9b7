// SPDX-License-Identifier: Apache-2.0
// Every reason for which a request is refused before anybody decides about it, with its answer (protocol.md F and J.2).
// Values; any thread.
// A fault is an answer for the client, never an error of ours.
#pragma once

#include <cstdint>
#include <string_view>

namespace msp::request {

enum class Fault : std::uint8_t {
  kNone,
  // Canonicalisation, in the words of protocol.md F.
  kCanonScheme,
  kCanonMethod,
  kCanonUserinfo,
  kCanonPort,
  kCanonHost,
  kCanonPct,
  kCanonUtf8,
  kCanonCtrl,
  kCanonNonAscii,
  kCanonEmbeddedQuery,
  kCanonUnderflow,
  // The request line and the authority (J.2).
  kMethodNotAllowed,
  kPathTraversal,
  kAuthorityForm,
  kAsteriskForm,
  kUserinfo,
  kHostMissing,
  kHostForeign,
  kSecureChannel,
  // Headers (J.2).
  kHeaderRepeated,
  kHeaderUnsignable,
  kConnectionNamesHeader,
  kExpectationFailed,
};
inline constexpr std::size_t kFaultCount = static_cast<std::size_t>(Fault::kExpectationFailed) + 1;

/// HTTP status of the answer: 400, 403, 405 or 417; 0 for kNone.
int status_of(Fault fault);
/// Stable code of the answer's body, snake_case ("canon_pct", "path_traversal").
std::string_view code_of(Fault fault);
/// What happened and what to do, one sentence each, without anything from the request.
std::string_view describe(Fault fault);
/// The field's name of a canonicalisation fault ("CANON_PCT", for the divergence log line); empty for the others.
std::string_view canon_name(Fault fault);

}  // namespace msp::request
