// SPDX-License-Identifier: Apache-2.0
#include "gateway/imds_identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/log.h"
#include "gateway/imds_answer.h"

namespace msp::gateway {
namespace {

constexpr std::string_view kTokenPath = "/metadata/identity/oauth2/token";
constexpr std::string_view kInfoPath = "/metadata/identity/info";
constexpr std::string_view kOldest = "2018-02-01";
constexpr std::size_t kLongestResource = 2048;
constexpr std::int64_t kNanoseconds = 1'000'000'000;

Answer invalid(Reason reason, std::string_view description) {
  return imds_identity_error(reason, 400, "invalid_request", description);
}

/// A URI or the id of an application: one word. Which of them exist only a directory knows, and none is here.
bool is_resource(std::string_view text) {
  return !text.empty() && text.size() <= kLongestResource &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; });
}

std::string token_body(const content::Token& token, const content::Identity& who, std::string_view resource,
                       std::int64_t now_seconds) {
  const std::string left = std::to_string(token.expires - now_seconds);
  json::Writer writer;  // numbers are texts in this contract
  writer.begin_object().field("access_token", token.text).field("client_id", who.client_id);
  writer.field("expires_in", left).field("expires_on", std::to_string(token.expires));
  writer.field("ext_expires_in", left).field("not_before", std::to_string(token.not_before));
  writer.field("resource", resource).field("token_type", "Bearer").end_object();
  return std::move(writer).take();
}

struct ChoiceText {
  content::IdentityBy by = content::IdentityBy::kNothing;
  std::string value;
};

/// A choice that says nothing is refused: without one, it would be another identity's token.
std::optional<Answer> read_choice(const ImdsQuery& query, ChoiceText& out) {
  using By = content::IdentityBy;
  constexpr std::array<std::pair<std::string_view, By>, 4> kNames = {{{"client_id", By::kClientId},
                                                                      {"object_id", By::kObjectId},
                                                                      {"msi_res_id", By::kResourceId},
                                                                      {"mi_res_id", By::kResourceId}}};
  for (const auto& [name, by] : kNames) {
    if (!query.find(name)) {
      continue;
    }
    if (out.by != By::kNothing) {
      return invalid(Reason::kBadQuery, "Only one of client_id, object_id and msi_res_id may be given");
    }
    out = {.by = by, .value = query.decoded(name)};
    if (out.value.empty()) {
      return invalid(Reason::kBadQuery, fmt::format("The value of '{}' is empty or malformed", name));
    }
  }
  return std::nullopt;
}

Answer token(const Asked& asked, const ImdsQuery& query) {
  const std::string resource = query.decoded("resource");
  if (!query.find("resource")) {
    return invalid(Reason::kBadQuery, "Required query variable 'resource' is missing");
  }
  if (!is_resource(resource)) {
    return imds_identity_error(Reason::kBadQuery, 400, "invalid_resource",
                               "The resource must be a URI or the id of an application, one word");
  }
  ChoiceText choice;
  if (auto refusal = read_choice(query, choice)) {
    return std::move(*refusal);
  }
  const content::Identities& identities = asked.machine().identities;
  const auto chosen = content::choose(identities, {.by = choice.by, .value = choice.value});
  if (const auto* why = std::get_if<content::NoIdentity>(&chosen)) {
    if (*why == content::NoIdentity::kAmbiguous) {
      return invalid(Reason::kNoIdentity,
                     "Multiple user assigned identities exist, please specify the clientId / resourceId of the "
                     "identity in the token request");
    }
    // What SDKs understand as "this machine has no identity" (they go on to their next source).
    return invalid(Reason::kNoIdentity, "Identity not found");
  }
  if (asked.signers.issuer == nullptr) {
    return invalid(Reason::kNoIdentity, "Identity not found");
  }
  const content::Identity& who = *std::get<const content::Identity*>(chosen);
  const std::int64_t now = asked.now_ns / kNanoseconds;
  const auto issued = asked.signers.issuer->issue(identities, who, resource, asked.machine().resource_id, now);
  if (!issued) {
    log::write(issued.error());
    return imds_identity_error(Reason::kStoreFailed, 500, "unknown", "The token could not be made; try again");
  }
  Answer answer = imds_json(token_body(*issued, who, resource, now));
  answer.response.header("cache-control", "no-store");
  return answer;
}

}  // namespace

Answer answer_identity(const Asked& asked, const ImdsQuery& query) {
  const std::string_view path = asked.request.target.path;
  if (path != kTokenPath && path != kInfoPath) {
    return imds_identity_error(Reason::kNotFound, 404, "not_found", "There is nothing at this path");
  }
  const std::string_view version = query.find("api-version").value_or(std::string_view{});
  if (!is_api_version(version) || version < kOldest) {
    return invalid(Reason::kApiVersion, "api-version is invalid or was not specified in the request");
  }
  if (path == kTokenPath) {
    return token(asked, query);
  }
  const content::Identities& identities = asked.machine().identities;
  if (identities.all.empty()) {
    return invalid(Reason::kNoIdentity, "Identity not found");
  }
  json::Writer writer;
  writer.begin_object().field("tenantId", identities.tenant_id).end_object();
  return imds_json(std::move(writer).take());
}

}  // namespace msp::gateway
