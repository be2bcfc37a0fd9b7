// SPDX-License-Identifier: Apache-2.0
#include "content/token_issuer.h"

#include <fmt/format.h>

#include "base/json.h"

namespace msp::content {
namespace {

constexpr std::int64_t kClockSkew = 300;  // so that a verifier whose clock is a little behind takes it

void write_list(json::Writer& writer, std::string_view name, std::string_view only) {
  writer.key(name).begin_array().value(only).end_array();
}

}  // namespace

TokenIssuer::TokenIssuer(SigningKey key, std::string issuer, std::int64_t lifetime_seconds)
    : key_(std::move(key)), issuer_(std::move(issuer)), lifetime_(lifetime_seconds) {
  const std::string_view algorithm = to_string(key_.algorithm());
  json::Writer header;
  header.begin_object().field("alg", algorithm).field("kid", key_.thumbprint()).field("typ", "JWT").end_object();
  header_ = base64url_encode(as_bytes(std::move(header).take()));

  json::Writer discovery;
  discovery.begin_object().field("issuer", issuer_).field("jwks_uri", fmt::format("{}{}", issuer_, kKeysPath));
  write_list(discovery, "id_token_signing_alg_values_supported", algorithm);
  write_list(discovery, "response_types_supported", "token");
  write_list(discovery, "subject_types_supported", "public");
  discovery_ = std::move(discovery.end_object()).take();

  std::string jwk = key_.public_jwk();
  jwk.pop_back();
  keys_ = fmt::format(R"({{"keys":[{},"use":"sig","alg":"{}","kid":"{}"}}]}})", jwk, algorithm, key_.thumbprint());
}

Result<Token> TokenIssuer::issue(const Identities& of, const Identity& who, std::string_view resource,
                                 std::string_view machine_id, std::int64_t now_seconds) const {
  Token token{.text = {}, .not_before = now_seconds - kClockSkew, .expires = now_seconds + lifetime_};
  auto id = random_guid();
  if (!id) {
    return std::move(id).error();
  }
  json::Writer claims;
  claims.begin_object().field("aud", resource).field("iss", issuer_).field("iat", token.not_before);
  claims.field("nbf", token.not_before).field("exp", token.expires).field("appid", who.client_id);
  claims.field("appidacr", "2").field("idp", issuer_).field("idtyp", "app").field("oid", who.principal_id);
  claims.field("sub", who.principal_id).field("tid", of.tenant_id).field("uti", *id).field("ver", "1.0");
  claims.field("xms_mirid", who.resource_id).field("xms_az_rid", machine_id).end_object();
  token.text = fmt::format("{}.{}", header_, base64url_encode(as_bytes(std::move(claims).take())));
  const auto signature = key_.sign(token.text);
  if (!signature) {
    return signature.error();
  }
  token.text += "." + base64url_encode(*signature);
  return token;
}

}  // namespace msp::content
