// SPDX-License-Identifier: Apache-2.0
// The status document of GET /secure-channel/status: its form, its checks and what follows from it (protocol.md B).
// Passive values; any thread. The guest parses it, the host writes it.
// Untrusted until the channel is attested; any error refuses the document as a whole (Source::kHost), nothing is
// guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/net.h"
#include "base/result.h"
#include "base/rules_document.h"

namespace msp::protocol {

struct AuthorizationRules {
  std::optional<RuleItem> imds;
  std::optional<RuleItem> wireserver;
  std::optional<RuleItem> hostga;  ///< parsed, never used: hostga follows wireserver (B.4)

  bool operator==(const AuthorizationRules&) const = default;
};

/// Texts are as written; optional members are absent where the document has null.
struct StatusDocument {
  std::string authorization_scheme;
  std::string key_delivery_method;
  std::optional<std::uint32_t> key_incarnation_id;
  std::optional<std::string> key_guid;
  std::optional<std::vector<std::string>> required_claims_header_pairs;
  std::optional<std::string> secure_channel_state;  ///< the switch of 1.0
  std::optional<bool> secure_channel_enabled;       ///< the switch of 2.0
  std::string version;                              ///< "1.0" or "2.0", compared literally
  std::optional<AuthorizationRules> authorization_rules;

  bool operator==(const StatusDocument&) const = default;
};

/// Both steps below, all that is wrong in one error. `content_type`: header of the answer, may be empty.
Result<StatusDocument> read_status(std::string_view body, std::string_view content_type = {});
/// The same of a value, for tools; with any misfit the document means nothing.
StatusDocument read_status(const json::Value& value, json::Misfits& misfits);

/// Form (B.2). `text` is UTF-8; what is not becomes U+FFFD.
Result<StatusDocument> parse_status(std::string_view text);
/// Meaning (B.3), all that is wrong in one error.
Result<void> validate(const StatusDocument& document);
/// What is odd but accepted (B.3, B.4): another scheme or delivery method, no rules. One sentence each.
std::vector<std::string> remarks(const StatusDocument& document);

/// State of the channel before the first good answer.
inline constexpr std::string_view kStateUnknown = "Unknown";
inline constexpr std::string_view kStateDisabled = "disabled";

// Derived values (B.4) of a document that has been validated.
/// "disabled", "wireserver", "wireserverandimds", or the composite text with two blanks before IMDS.
std::string state_text(const StatusDocument& document);
bool key_needed(const StatusDocument& document);
/// Lower-case, as written otherwise: may be an unknown word or empty.
std::string mode_text(const StatusDocument& document, Service service);
/// On unless the mode is exactly `disabled`.
bool redirect_wanted(const StatusDocument& document, Service service);
/// The item that holds for a service, or null; that of hostga is wireserver's.
const RuleItem* rule_item(const StatusDocument& document, Service service);
/// The item's id; empty without one.
std::string_view rule_id(const StatusDocument& document, Service service);

/// Compact JSON. `key_guid` and the other nullable members are written as null when absent, the two switches left out.
std::string write_status(const StatusDocument& document);

}  // namespace msp::protocol
