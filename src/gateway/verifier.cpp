// SPDX-License-Identifier: Apache-2.0
#include "gateway/verifier.h"

#include <algorithm>

#include "http/date.h"
#include "protocol/authorization.h"
#include "protocol/headers.h"

namespace msp::gateway {

struct Verifier::Trusted {
  const http::Header* authorization = nullptr;
  const http::Header* claims = nullptr;
  const http::Header* date = nullptr;
  const http::Header* nonce = nullptr;
  const http::Header* caller = nullptr;
  protocol::Authorization parsed;
};

Reason Verifier::find_trusted(const http::HeaderList& headers, Trusted& trusted) {
  constexpr std::size_t kShortest = std::ranges::min({protocol::kClaimsHeader.size(), protocol::kDateHeader.size(),
                                                      protocol::kNonceHeader.size(), protocol::kCallerHeader.size()});
  for (const http::Header& header : headers) {
    if (header.name.size() < kShortest) {
      continue;
    }
    const http::Header** slot = nullptr;
    if (http::iequals(header.name, protocol::kAuthorizationHeader)) {
      slot = &trusted.authorization;
    } else if (http::iequals(header.name, protocol::kClaimsHeader)) {
      slot = &trusted.claims;
    } else if (http::iequals(header.name, protocol::kDateHeader)) {
      slot = &trusted.date;
    } else if (http::iequals(header.name, protocol::kNonceHeader)) {
      slot = &trusted.nonce;
    } else if (http::iequals(header.name, protocol::kCallerHeader)) {
      slot = &trusted.caller;
    } else {
      continue;
    }
    if (*slot != nullptr) {
      return Reason::kDuplicateTrustedHeader;
    }
    *slot = &header;
  }
  if (trusted.authorization == nullptr) {
    return Reason::kUnsigned;
  }
  const auto parsed = protocol::parse_authorization(trusted.authorization->value);
  if (!parsed) {
    return Reason::kBadAuthorizationHeader;
  }
  trusted.parsed = *parsed;
  return Reason::kNone;
}

Reason Verifier::why_not_latched(const Vm& vm, const Trusted& trusted, const http::Request& request) {
  LiveKey* key = keys_.find(trusted.parsed.guid);
  if (key == nullptr) {
    return keys_.has_ended(vm, trusted.parsed.guid) ? Reason::kKeyEnded : Reason::kUnknownKey;
  }
  if (key->vm == &vm) {
    return key == vm.outgoing ? Reason::kKeyEnded : Reason::kKeyNotLatched;
  }
  // Only who has it has used it: anybody may name it, and its owner is told to reset it.
  if (check_signature(*key, trusted, request) == Reason::kNone) {
    ++key->vm->counters.key_used_by_others;
  }
  return Reason::kForeignKey;
}

bool Verifier::may_verify(const http::Request& request) const {
  Trusted trusted;
  return find_trusted(request.head.headers, trusted) == Reason::kNone && keys_.find(trusted.parsed.guid) != nullptr;
}

Verdict Verifier::verify(Vm& vm, const http::Request& request) {
  Trusted trusted;
  if (const Reason reason = find_trusted(request.head.headers, trusted); reason != Reason::kNone) {
    return {.reason = reason};
  }
  LiveKey* const key = keys_.taken(vm, trusted.parsed.guid);
  if (key == nullptr) {
    return {.reason = why_not_latched(vm, trusted, request)};
  }
  Verdict verdict = check(*key, trusted, request);
  if (verdict.reason == Reason::kNone) {
    verdict.reason = check_nonce(vm, trusted);
  }
  return verdict;
}

Reason Verifier::check_nonce(Vm& vm, const Trusted& trusted) const {
  if (asking_.replay == ReplayProtection::kOff) {
    return Reason::kNone;
  }
  if (trusted.nonce == nullptr) {
    return asking_.replay == ReplayProtection::kRequired ? Reason::kNonceMissing : Reason::kNone;
  }
  const auto nonce = protocol::parse_nonce(trusted.nonce->value);
  if (!nonce) {
    return Reason::kBadNonce;
  }
  if (nonce->epoch != asking_.epoch_of(vm)) {
    return Reason::kNonceStale;
  }
  // A request is fresh for the window before and the one behind its date.
  const std::uint64_t keep_ms = 2'000 * static_cast<std::uint64_t>(date_window_) + 1'000;
  switch (vm.nonces.take(nonce->stream, nonce->counter, clock_.boottime_ms(), keep_ms)) {
    case NonceStreams::Use::kFirst:
      return Reason::kNone;
    case NonceStreams::Use::kAgain:
      return Reason::kReplayed;
    case NonceStreams::Use::kTooOld:
      return Reason::kNonceTooOld;
    case NonceStreams::Use::kTooMany:
      break;
  }
  return Reason::kTooManyStreams;
}

Verdict Verifier::verify_attestation(const Vm& vm, std::string_view guid, const http::Request& request) {
  Trusted trusted;
  if (const Reason reason = find_trusted(request.head.headers, trusted); reason != Reason::kNone) {
    return {.reason = reason};
  }
  if (trusted.parsed.guid != guid) {
    return {.reason = Reason::kBadAuthorizationHeader};
  }
  LiveKey* key = keys_.find(guid);
  if (key == nullptr || key->vm != &vm || key == vm.outgoing) {
    return {.reason = why_not_latched(vm, trusted, request)};
  }
  return check(*key, trusted, request);
}

Reason Verifier::check_signature(LiveKey& key, const Trusted& trusted, const http::Request& request) {
  const auto& headers = request.head.headers;
  const auto built = text_.build({.method = request.head.method,
                                  .path = request.target.path,
                                  .query = request.target.query,
                                  .headers = {headers.begin(), headers.size()},
                                  .extended = trusted.nonce != nullptr || trusted.caller != nullptr});
  if (!built) {
    return Reason::kUnsignableHeader;
  }
  const auto expected = protocol::sign(key.mac, text_, request.body);
  // A failure of the crypto library is a refusal as well: nothing was proven.
  if (!expected || !constant_time_equal(*expected, trusted.parsed.signature)) {
    return Reason::kBadSignature;
  }
  // Behind the signature: who has the key may learn why, others only that it is wrong.
  return text_.has_unsigned_values() ? Reason::kRepeatedHeader : Reason::kNone;
}

Verdict Verifier::check(LiveKey& key, const Trusted& trusted, const http::Request& request) {
  if (const Reason reason = check_signature(key, trusted, request); reason != Reason::kNone) {
    return {.reason = reason};
  }
  const auto elevated = trusted.claims == nullptr ? std::nullopt : protocol::parse_claims(trusted.claims->value);
  if (!elevated) {
    return {.reason = Reason::kBadClaims};
  }
  const auto date = trusted.date == nullptr ? std::nullopt : http::parse_date(trusted.date->value);
  if (!date) {
    return {.reason = Reason::kBadDate};
  }
  const std::int64_t now = clock_.realtime_ns() / 1'000'000'000;
  if (*date < now - date_window_ || *date > now + date_window_) {
    return {.reason = Reason::kStaleDate};
  }
  Verdict verdict{.reason = Reason::kNone, .elevated = *elevated};
  if (trusted.caller != nullptr) {
    verdict.caller = protocol::parse_caller(trusted.caller->value);
    verdict.reason = verdict.caller ? Reason::kNone : Reason::kBadCaller;
  }
  return verdict;
}

}  // namespace msp::gateway
