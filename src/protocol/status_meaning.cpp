// SPDX-License-Identifier: Apache-2.0
// What follows from a status document: checks (protocol.md B.3) and derived values (B.4).
#include <fmt/core.h>

#include <algorithm>

#include "protocol/headers.h"
#include "protocol/status.h"
#include "protocol/status_meaning.h"

namespace msp::protocol {
namespace {

constexpr std::string_view kWireServerOnly = "wireserver";
constexpr std::string_view kWireServerAndImds = "wireserverandimds";

// Only ASCII words are compared with what this returns.
std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

bool is_v2(const StatusDocument& document) { return document.version == "2.0"; }

std::string v1_state(const StatusDocument& document) {
  return document.secure_channel_state ? lower(*document.secure_channel_state) : std::string(kStateDisabled);
}

std::string_view shown_mode(const StatusDocument& document, Service service) {
  const std::string mode = mode_text(document, service);
  return mode == "enforce" ? "Enforce" : mode == "audit" ? "Audit" : "Disabled";
}

/// The switch of 1.0 also knows `audit`, which validation refuses.
std::string v1_mode(std::string_view state, Service service) {
  if (service == Service::kImds) {
    return state == kStateDisabled ? "disabled" : state == kWireServerAndImds ? "enforce" : "audit";
  }
  return state == kWireServerOnly || state == kWireServerAndImds ? "enforce" : state == "audit" ? "audit" : "disabled";
}

}  // namespace

void check_meaning(const StatusDocument& document, json::Misfits& misfits) {
  const auto readable = [&misfits](std::string_view pointer) {
    return std::ranges::find(misfits.list(), pointer, &json::Misfits::Misfit::pointer) == misfits.list().end();
  };
  // An older or newer form says what we cannot know: read by the rules of another it could open what is closed.
  if (readable("/version") && document.version != "1.0" && !is_v2(document)) {
    misfits.add("/version", "the version is none of 1.0, 2.0");
  }
  const bool no_enabled = !document.secure_channel_enabled && readable("/secureChannelEnabled");
  const bool no_state = !document.secure_channel_state && readable("/secureChannelState");
  if (no_enabled && no_state) {
    misfits.add("", "both secureChannelEnabled and secureChannelState are missing");
  }
  if (document.secure_channel_state && readable("/secureChannelState")) {
    const std::string state = lower(*document.secure_channel_state);
    if (state != kStateDisabled && state != kWireServerOnly && state != kWireServerAndImds) {
      misfits.add("/secureChannelState", "secureChannelState is none of Disabled, WireServer, WireServerAndImds");
    }
  }
  if (document.version == "1.0" && no_state) {
    misfits.add("", "version 1.0 needs secureChannelState");
  }
  if (is_v2(document) && no_enabled) {
    misfits.add("", "version 2.0 needs secureChannelEnabled");
  }
}

Error refused(const json::Misfits& misfits) {
  Error error = misfits.error(Source::kHost, "the status document");
  error.hint = "the host must send a document as protocol versions 1.0 and 2.0 describe it";
  return error;
}

Result<void> validate(const StatusDocument& document) {
  json::Misfits misfits;
  check_meaning(document, misfits);
  if (misfits.any()) {
    return refused(misfits);
  }
  return {};
}

std::vector<std::string> remarks(const StatusDocument& document) {
  std::vector<std::string> out;
  if (document.authorization_scheme != kScheme) {
    out.emplace_back("The host names another authorization scheme; requests are signed with Azure-HMAC-SHA256.");
  }
  if (document.key_delivery_method != kKeyDelivery) {
    out.emplace_back("The host names another way of key delivery; the key is fetched over http.");
  }
  if (is_v2(document) && document.secure_channel_enabled.value_or(false) && !document.authorization_rules) {
    out.emplace_back("The host enables the secure channel and names no rules; by the protocol it counts as disabled.");
  }
  return out;
}

std::string state_text(const StatusDocument& document) {
  if (!is_v2(document)) {
    return v1_state(document);
  }
  if (!document.secure_channel_enabled.value_or(false) || !document.authorization_rules) {
    return std::string(kStateDisabled);
  }
  return fmt::format("WireServer {} -  IMDS {} - HostGA {}", shown_mode(document, Service::kWireServer),
                     shown_mode(document, Service::kImds), shown_mode(document, Service::kHostGaPlugin));
}

bool key_needed(const StatusDocument& document) { return state_text(document) != kStateDisabled; }

std::string mode_text(const StatusDocument& document, Service service) {
  if (!is_v2(document)) {
    return v1_mode(v1_state(document), service);
  }
  const RuleItem* const item = rule_item(document, service);
  return item == nullptr ? std::string(kStateDisabled) : lower(item->mode);
}

bool redirect_wanted(const StatusDocument& document, Service service) {
  return mode_text(document, service) != kStateDisabled;
}

const RuleItem* rule_item(const StatusDocument& document, Service service) {
  if (!document.authorization_rules) {
    return nullptr;
  }
  const AuthorizationRules& rules = *document.authorization_rules;
  const std::optional<RuleItem>& item = service == Service::kImds ? rules.imds : rules.wireserver;
  return item ? &*item : nullptr;
}

std::string_view rule_id(const StatusDocument& document, Service service) {
  const RuleItem* const item = rule_item(document, service);
  return item == nullptr ? std::string_view() : std::string_view(item->id);
}

}  // namespace msp::protocol
