// SPDX-License-Identifier: Apache-2.0
#include "protocol/status_signature.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "protocol/guid.h"

namespace msp::protocol {
namespace {

// Neither text can be the beginning of a string to sign of a request: that begins with a method and a line feed.
constexpr std::string_view kSecretLabel = "openmsp signed status 1";
constexpr std::string_view kLinkedLabel = "openmsp linked status 1";
constexpr std::string_view kTextLabel = "openmsp status answer 1\n";
constexpr std::size_t kNonceDigits = kRunDigits + 32;

bool is_lower_hex(std::string_view text, std::size_t size) {
  return text.size() == size && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<std::pair<std::string_view, std::string_view>> two_words(std::string_view text) {
  const auto blank = text.find(' ');
  if (blank == std::string_view::npos) {
    return std::nullopt;
  }
  return std::pair(text.substr(0, blank), text.substr(blank + 1));
}

Result<Secret> digest_of(HmacSha256& mac, std::string_view text) {
  auto digest = mac.sign(text);
  if (!digest) {
    return std::move(digest).error();
  }
  Secret secret = Secret::copy_of(Bytes(*digest));
  std::ranges::fill(*digest, std::uint8_t{0});
  return secret;
}

}  // namespace

std::optional<SignRequest> parse_sign_request(std::string_view text) {
  const auto words = two_words(text);
  if (!words || !is_lower_hex(words->first, kNonceDigits)) {
    return std::nullopt;
  }
  const auto ids = two_words(words->second);
  if (!is_guid(ids ? ids->first : words->second) || (ids && !is_guid(ids->second))) {
    return std::nullopt;
  }
  return SignRequest{.nonce = std::string(words->first),
                     .guid = std::string(ids ? ids->first : words->second),
                     .linked = std::string(ids ? ids->second : std::string_view())};
}

std::string format_sign_request(const SignRequest& request) {
  return request.nonce + ' ' + request.guid + (request.linked.empty() ? "" : " " + request.linked);
}

std::optional<StatusSignature> parse_status_signature(std::string_view text) {
  const auto words = two_words(text);
  StatusSignature signature;
  if (!words || !is_guid(words->first) || !is_lower_hex(words->second, 2 * kSha256Size) ||
      !hex_decode_to(words->second, signature.signature)) {
    return std::nullopt;
  }
  signature.guid = words->first;
  return signature;
}

std::string format_status_signature(const StatusSignature& signature) {
  return signature.guid + ' ' + hex_encode(signature.signature);
}

Result<Secret> status_secret(const Secret& key) {
  auto mac = HmacSha256::create(key);
  if (!mac) {
    return std::move(mac).error();
  }
  return digest_of(*mac, kSecretLabel);
}

// Its label keeps this text apart from all status answers, which are signed with the same secret.
Result<Secret> linked_secret(const Secret& first, const Secret& later) {
  auto mac = HmacSha256::create(first);
  if (!mac) {
    return std::move(mac).error();
  }
  Secret text(kLinkedLabel.size() + later.size());
  const auto end = std::ranges::copy(as_bytes(kLinkedLabel), text.writable().begin()).out;
  std::ranges::copy(later.bytes(), end);
  return digest_of(*mac, text.reveal());
}

// No header value holds a line feed, and the body comes last: no two answers make one text.
Result<Sha256Digest> sign_status(HmacSha256& secret, const SignedStatus& status) {
  const std::string head = fmt::format("{}{}\n{}\n{}\n{}\n{}\n{}\n{}\n", kTextLabel, status.nonce, status.status,
                                       status.asked_date, status.date, status.content_type, status.wait, status.asks);
  secret.start();
  secret.update(head);
  secret.update(status.body);
  return secret.finish();
}

}  // namespace msp::protocol
