// SPDX-License-Identifier: Apache-2.0
// Names, fixed texts and paths of the wire (protocol.md B.1, C, D.4, D.6, D.8, D.10).
// Constants and pure functions; any thread. Header names are lower case, as they are written.
// Cannot fail; paths and targets may come from a client.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/target.h"

namespace msp::protocol {

inline constexpr std::string_view kAuthorizationHeader = "x-ms-azure-host-authorization";
inline constexpr std::string_view kClaimsHeader = "x-ms-azure-host-claims";
inline constexpr std::string_view kDateHeader = "x-ms-azure-host-date";
inline constexpr std::string_view kMetadataHeader = "metadata";

inline constexpr std::string_view kScheme = "Azure-HMAC-SHA256";
inline constexpr std::string_view kKeyDelivery = "http";

/// The agent's own requests carry "True" followed by one blank (B.1, L.3).
inline constexpr std::string_view kOwnMetadataValue = "True ";
/// Tells a client that an agent was involved; replaces whatever the host sent under this name (D.10).
inline constexpr std::string_view kResponseMark = "value";

/// The claims text, odd blanks included (D.4). `root`: uid 0 when the connection was made.
constexpr std::string_view claims_text(bool root) {
  return root ? std::string_view(R"({ "isRoot": "true"})") : std::string_view(R"({ "isRoot": "false"})");
}
/// The reverse, literal; none for every other text.
std::optional<bool> parse_claims(std::string_view text);

/// Requests that go unsigned, with a larger body limit (D.8): the whole target in any case, origin-form only. A lone
/// '?' or one more parameter breaks the match.
bool is_exempt(std::string_view method, const http::Target& target);

inline constexpr std::size_t kSignedBodyLimit = std::size_t{100} * 1024;         ///< bytes
inline constexpr std::size_t kExemptBodyLimit = std::size_t{100} * 1024 * 1024;  ///< bytes

inline constexpr std::string_view kStatusPath = "/secure-channel/status";
inline constexpr std::string_view kKeyPath = "/secure-channel/key";
/// Body of POST /secure-channel/key (C.1): exactly 44 bytes.
inline constexpr std::string_view kAcquireBody = R"({"authorizationScheme": "Azure-HMAC-SHA256"})";

/// "/secure-channel/key/{guid}/key-attestation".
std::string attestation_path(std::string_view guid);
/// The guid of such a path (lower-case GUID syntax only), or none.
std::optional<std::string_view> parse_attestation_path(std::string_view path);

}  // namespace msp::protocol
