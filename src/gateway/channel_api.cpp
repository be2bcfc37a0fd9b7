// SPDX-License-Identifier: Apache-2.0
#include "gateway/channel_api.h"

#include <algorithm>
#include <optional>

#include "base/ascii.h"
#include "base/crypto.h"
#include "base/json.h"
#include "http/date.h"
#include "protocol/guid.h"
#include "protocol/headers.h"
#include "protocol/key.h"
#include "protocol/status.h"
#include "protocol/status_signature.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kChannelPrefix = "/secure-channel";
constexpr std::string_view kJson = "application/json; charset=utf-8";

RuleItem rule_item(const ServicePolicy& policy) {
  return {.default_access = policy.default_allow ? "allow" : "deny",
          .mode = std::string(to_string(policy.mode)),
          .id = policy.rule_id,
          .rules = policy.rules};
}

http::Response json_answer(std::string body) {
  http::Response response;
  response.header("content-type", kJson).header("cache-control", "no-store");
  response.body(std::move(body));
  return response;
}

bool is_below_channel(std::string_view path) {
  return path.starts_with(kChannelPrefix) &&
         (path.size() == kChannelPrefix.size() || path[kChannelPrefix.size()] == '/');
}

std::string lenient_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint8_t byte = 0;
    if (text[i] == '%' && hex_decode_to(text.substr(i + 1, 2), {&byte, 1})) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Decoded until nothing is left to decode; nothing: still more after so many rounds that nobody does as many.
std::optional<std::string> wholly_decoded(std::string_view path) {
  constexpr int kMostRounds = 8;
  std::string text(path);
  for (int i = 0; i < kMostRounds; ++i) {
    std::string next = lenient_decoded(text);
    if (next == text) {
      return text;
    }
    text = std::move(next);
  }
  return std::nullopt;
}

/// True for the channel's name in any case, with `_` for `-`, with blanks and controls in it, with dots after it.
bool is_name_of_channel(std::string_view segment) {
  constexpr std::string_view kName = kChannelPrefix.substr(1);
  if (segment.size() < kName.size()) {
    return false;
  }
  std::string name = ascii_lower(segment);
  std::erase_if(name, [](char c) { return (c >= 0 && c <= ' ') || c == '\x7f'; });
  std::ranges::replace(name, '_', '-');
  name.resize(name.find_last_not_of('.') + 1);
  return name == kName;
}

/// What a service behind this host may take for a path of the channel. How it treats `..`, `//` and `;` is not known,
/// so the name counts wherever it stands: a metadata service has no other use for it.
bool speaks_of_channel(std::string_view path) {
  using namespace std::string_view_literals;
  std::optional<std::string> decoded;
  if (path.contains('%')) {  // of hardly any request: the others are looked at without a copy
    decoded = wholly_decoded(path);
    if (!decoded) {
      return true;
    }
    path = *decoded;
  }
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view segment = rest.substr(0, rest.find_first_of("/\\;?#"sv));
    // A service that is written in C may stop at a NUL, or leave it out.
    if (is_name_of_channel(segment) || is_name_of_channel(segment.substr(0, segment.find('\0')))) {
      return true;
    }
    rest.remove_prefix(std::min(segment.size() + 1, rest.size()));
  }
  return false;
}

bool names_our_scheme(std::string_view body) {
  auto tree = json::parse(body, {.max_bytes = 4096, .max_depth = 8, .max_nodes = 100, .source = Source::kClient});
  if (!tree) {
    return false;
  }
  const json::Value* scheme = tree->find("authorizationScheme");
  return scheme != nullptr && scheme->is_string() && *scheme->string() == protocol::kScheme;
}

}  // namespace

/// Of an answer; all of it is signed.
struct ChannelApi::StatusParts {
  std::string document;
  std::string wait = {};  ///< empty: not asked for
  std::string asks = {};  ///< empty: nothing is
  std::string date = {};
};

std::string status_document(const Vm& vm) {
  const ProxyAgentSettings& settings = vm.model.proxy_agent;
  protocol::StatusDocument document;
  document.authorization_scheme = protocol::kScheme;
  document.key_delivery_method = protocol::kKeyDelivery;
  document.version = "2.0";
  document.secure_channel_enabled = settings.enabled;
  document.required_claims_header_pairs.emplace();
  if (settings.enabled) {
    document.required_claims_header_pairs->emplace_back("isRoot");
    document.key_incarnation_id = settings.key_incarnation_id;
    if (vm.latched != nullptr) {
      document.key_guid = vm.latched->guid;
    }
    document.authorization_rules =
        protocol::AuthorizationRules{.imds = rule_item(vm.imds), .wireserver = rule_item(vm.wire_server), .hostga = {}};
  }
  return protocol::write_status(document);
}

std::string status_tag(std::string_view document) {
  const auto digest = sha256(as_bytes(document));
  // Without one, no status is like another: then nobody waits.
  return digest ? hex_encode(Bytes(*digest).first(8)) : std::string(protocol::kNoTag);
}

std::optional<protocol::Wait> ChannelApi::asked_wait(const http::Request& request) {
  if (request.target.path != protocol::kStatusPath || request.head.method != "GET") {
    return std::nullopt;
  }
  return protocol::parse_wait(request.head.headers.value(protocol::kWaitHeader));
}

bool ChannelApi::owns(std::string_view path) { return is_below_channel(path) || speaks_of_channel(path); }

Answer ChannelApi::handle(Vm& vm, const http::Request& request) {
  if (request.target.has_query) {
    return refuse(request, Reason::kNotFound);
  }
  const std::string_view path = request.target.path;
  const std::string_view method = request.head.method;
  if (path == protocol::kStatusPath) {
    return method == "GET" ? status(vm, request) : refuse_method(request, "GET");
  }
  const auto attested = protocol::parse_attestation_path(path);
  if (!attested && path != protocol::kKeyPath) {
    return refuse(request, Reason::kNotFound);
  }
  if (method != "POST") {
    return refuse_method(request, "POST");
  }
  return attested ? attest(vm, *attested, request) : issue(vm, request);
}

Answer ChannelApi::status(Vm& vm, const http::Request& request) {
  const auto wait = asked_wait(request);
  if (wait && wait->seconds > 0 && waits_.ended()) {
    return refuse(request, Reason::kHostEnding);  // a failed poll is tried again soon, a good one much later
  }
  StatusParts parts{.document = status_document(vm)};
  if (wait) {
    parts.wait = protocol::format_wait({.tag = status_tag(parts.document), .seconds = protocol::kMostWaitSeconds});
  }
  parts.asks = protocol::format_asks(asking_.of(vm));
  // The agent takes its clock from here (protocol.md B.2).
  const http::DateText date = http::format_date(clock_.realtime_ns() / 1'000'000'000);
  parts.date.assign(date.data(), date.size());
  http::Response response = json_answer(parts.document);
  if (wait) {
    response.header(protocol::kWaitHeader, parts.wait);
  }
  if (!parts.asks.empty()) {
    response.header(protocol::kAsksHeader, parts.asks);
  }
  response.header(protocol::kDateHeader, parts.date);
  sign(vm, request, parts, response);
  return {.response = std::move(response)};
}

void ChannelApi::sign(Vm& vm, const http::Request& request, const StatusParts& parts, http::Response& response) {
  const auto& headers = request.head.headers;
  const auto asked = protocol::parse_sign_request(headers.value(protocol::kSignRequestHeader));
  if (!asked) {
    return;
  }
  const protocol::SignedStatus status{.nonce = asked->nonce,
                                      .status = response.status(),
                                      .asked_date = headers.value(protocol::kDateHeader),
                                      .date = parts.date,
                                      .content_type = kJson,
                                      .wait = parts.wait,
                                      .asks = parts.asks,
                                      .body = parts.document};
  const std::string& last = asked->linked.empty() ? asked->guid : asked->linked;
  auto signature = keys_.sign_status(vm, asked->guid, asked->linked, status);
  if (signature && *signature) {
    note_asker(vm, asked->run());
    response.header(protocol::kStatusSignatureHeader,
                    protocol::format_status_signature({.guid = last, .signature = **signature}));
    sign_next(vm, *asked, headers.value(protocol::kSignNextHeader), status, response);
  } else if (failures_.admit(clock_.boottime_ms())) {
    if (!signature) {
      log::write(std::move(signature).error().context("sign the status of " + vm.model.name));
      return;
    }
    log::warn("virtual machine {} believes what key {} signs, which it never had here: it may take no status",
              vm.model.name, last);
    log::hint("a copy, or a machine or a database that came from elsewhere: docs/disks.md");
  }
}

// A key that is not known here is the agent's to wonder about: it goes by the other signature.
void ChannelApi::sign_next(const Vm& vm, const protocol::SignRequest& asked, std::string_view next,
                           const protocol::SignedStatus& status, http::Response& response) {
  if (!protocol::is_guid(next)) {
    return;
  }
  const auto signature = keys_.sign_status(vm, asked.guid, next, status);
  if (signature && *signature) {
    response.header(protocol::kNextSignatureHeader,
                    protocol::format_status_signature({.guid = std::string(next), .signature = **signature}));
  }
}

void ChannelApi::note_asker(Vm& vm, std::string_view run) {
  const bool before = vm.counters.askers.two_at_once();
  vm.counters.askers.asked(run, clock_.realtime_ns());
  if (!before && vm.counters.askers.two_at_once()) {
    log::warn("virtual machine {}: two agents take turns with its key", vm.model.name);
    log::hint("a copy of it asks from its address, or from one of its addresses: docs/disks.md");
  }
}

void ChannelApi::alarm(const Vm& vm, const http::Request& request) {
  if (const auto dropped = alarms_.admit(clock_.boottime_ms())) {
    log::warn("virtual machine {} ({}) asked for a key although one is latched: refused ({} such lines left out)",
              vm.model.name, to_string(request.connection.peer), *dropped);
    log::hint(
        "if its disk was re-imaged or restored from a backup: mspctl key reset {} (docs/disks.md); else somebody in it "
        "tries to become the agent",
        vm.model.name);
  }
}

Answer ChannelApi::issue(Vm& vm, const http::Request& request) {
  if (!vm.model.proxy_agent.enabled) {
    return refuse(request, Reason::kChannelDisabled);
  }
  if (!names_our_scheme(request.body)) {
    return refuse(request, Reason::kKeyRequestMalformed);
  }
  if (vm.latched == nullptr) {
    if (const std::uint64_t wait = vm.key_rate.take(keys_per_second_, clock_.boottime_ns()); wait != 0) {
      return refuse_too_many(request, wait);
    }
  }
  auto issued = keys_.issue(vm);
  if (!issued) {
    if (failures_.admit(clock_.boottime_ms())) {
      log::write(std::move(issued).error().context("issue a key for " + vm.model.name));
    }
    return refuse(request, Reason::kStoreFailed);
  }
  if (!issued->has_value()) {
    ++vm.counters.key_asked;
    vm.counters.key_asked_ns = clock_.realtime_ns();
    alarm(vm, request);
    return refuse(request, Reason::kKeyLatched);
  }
  IssuedKey& key = **issued;
  const Secret text = protocol::write_key_document({.guid = std::move(key.guid),
                                                    .incarnation_id = key.incarnation,
                                                    .issued = std::move(key.issued),
                                                    .key_hex = key.key.to_hex()},
                                                   json::Style::kCompact);
  return {.response = json_answer({}).secret_body(text)};
}

Answer ChannelApi::attest(Vm& vm, std::string_view guid, const http::Request& request) {
  if (!vm.model.proxy_agent.enabled) {
    return refuse(request, Reason::kChannelDisabled);
  }
  const Verdict verdict = verifier_.verify_attestation(vm, guid, request);
  if (verdict.reason != Reason::kNone) {
    return refuse(request, verdict.reason);
  }
  if (!verdict.elevated) {
    return refuse(request, Reason::kNotElevated);
  }
  auto latched = keys_.latch(vm, guid);
  if (!latched) {
    if (failures_.admit(clock_.boottime_ms())) {
      log::write(std::move(latched).error().context("latch the key of " + vm.model.name));
    }
    return refuse(request, Reason::kStoreFailed);
  }
  switch (*latched) {
    case LatchOutcome::kLatched:
      log::info("virtual machine {}: key {} is latched", vm.model.name, guid);
      waits_.announce(vm.model.vm_id);
      break;
    case LatchOutcome::kAlready:
      break;
    case LatchOutcome::kOtherIsLatched:
    case LatchOutcome::kUnknown:
      return refuse(request, Reason::kUnknownKey);
  }
  return {.response = json_answer("{}")};
}

}  // namespace msp::gateway
