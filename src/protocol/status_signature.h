// SPDX-License-Identifier: Apache-2.0
// The signed status, an extension of ours that both sides may ignore (docs/signed-status.md): one header on the status
// request, "<nonce> <key id> [<key id>]", and one on its answer, "<key id> <signature>"; where a key has been replaced,
// one more on each. Pure functions; any thread.
// What has not this form counts as not there. Nothing here decides whether an answer is believed.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/crypto.h"
#include "base/result.h"
#include "base/secret.h"

namespace msp::protocol {

inline constexpr std::string_view kSignRequestHeader = "x-ms-openmsp-sign";
inline constexpr std::string_view kStatusSignatureHeader = "x-ms-openmsp-signature";
/// The key in use, where it is not the one that the answer has to be signed with; and the same of the answer.
inline constexpr std::string_view kSignNextHeader = "x-ms-openmsp-sign-next";
inline constexpr std::string_view kNextSignatureHeader = "x-ms-openmsp-signature-next";

inline constexpr std::size_t kRunDigits = 16;

/// Of the request: which key the answer is to be signed with, or which two, linked.
struct SignRequest {
  std::string nonce;        ///< 48 lower-case hex digits: 16 of this run of the agent, 32 that were never used before
  std::string guid;         ///< GUID syntax, compared literally
  std::string linked = {};  ///< the other of the two; empty: there is none

  std::string_view run() const { return std::string_view(nonce).substr(0, kRunDigits); }
};
std::optional<SignRequest> parse_sign_request(std::string_view text);
std::string format_sign_request(const SignRequest& request);

/// Of the answer.
struct StatusSignature {
  std::string guid;
  Sha256Digest signature{};
};
std::optional<StatusSignature> parse_status_signature(std::string_view text);
std::string format_status_signature(const StatusSignature& signature);

/// All that is signed. Header values as on the wire; one that is not there is empty.
struct SignedStatus {
  std::string_view nonce = {};
  int status = 0;
  std::string_view asked_date = {};    ///< x-ms-azure-host-date of the request
  std::string_view date = {};          ///< the same of the answer
  std::string_view content_type = {};  ///< says how the body is read
  std::string_view wait = {};          ///< x-ms-openmsp-wait of the answer
  std::string_view asks = {};          ///< x-ms-openmsp-asks of the answer
  std::string_view body = {};
};

/// What signs status answers: follows from a latched key and does not lead back to it, so that it may outlive the key.
Result<Secret> status_secret(const Secret& key);
/// What signs where a key has taken the place of the first: follows from the status secrets of both, and needs both.
Result<Secret> linked_secret(const Secret& first, const Secret& later);
/// `secret`: keyed with what status_secret() or linked_secret() makes.
Result<Sha256Digest> sign_status(HmacSha256& secret, const SignedStatus& status);

}  // namespace msp::protocol
