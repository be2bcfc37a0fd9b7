// SPDX-License-Identifier: Apache-2.0
#include "protocol/headers.h"

#include <fmt/core.h>

#include "http/head.h"
#include "protocol/guid.h"

namespace msp::protocol {
namespace {

constexpr std::string_view kAttestationHead = "/secure-channel/key/";
constexpr std::string_view kAttestationTail = "/key-attestation";

static_assert(kAcquireBody.size() == 44);

}  // namespace

std::optional<bool> parse_claims(std::string_view text) {
  if (text == claims_text(true)) {
    return true;
  }
  return text == claims_text(false) ? std::optional(false) : std::nullopt;
}

bool is_exempt(std::string_view method, const http::Target& target) {
  if (target.form != http::TargetForm::kOrigin) {
    return false;
  }
  if (method == "PUT") {
    return !target.has_query && http::iequals(target.path, "/vmagentlog");
  }
  return method == "POST" && target.has_query && http::iequals(target.path, "/machine/") &&
         http::iequals(target.query, "comp=telemetrydata");
}

std::string attestation_path(std::string_view guid) {
  return fmt::format("{}{}{}", kAttestationHead, guid, kAttestationTail);
}

std::optional<std::string_view> parse_attestation_path(std::string_view path) {
  if (path.size() != kAttestationHead.size() + kGuidSize + kAttestationTail.size() ||
      !path.starts_with(kAttestationHead) || !path.ends_with(kAttestationTail)) {
    return std::nullopt;
  }
  const std::string_view guid = path.substr(kAttestationHead.size(), kGuidSize);
  return is_lower_guid(guid) ? std::optional(guid) : std::nullopt;
}

}  // namespace msp::protocol
