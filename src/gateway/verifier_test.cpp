// SPDX-License-Identifier: Apache-2.0
#include "gateway/verifier.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "tests/support/host_request.h"

namespace msp::gateway {
namespace {

using test::date_text;
using test::from_agent;
using test::HeaderLines;
using test::ParsedRequest;
using test::RequestText;
using test::signed_with;

constexpr std::int64_t kNow = 1'745'409'600;
constexpr std::string_view kGuid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
constexpr std::string_view kForeignGuid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b22";
constexpr std::string_view kPendingGuid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b33";
constexpr std::string_view kEndedGuid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b44";

std::string key_of(char c) { return std::string(32, c); }

/// Keeps what a test gave it, so that keys are known.
class FixedStore final : public KeyStore {
 public:
  std::vector<KeyRecord> keys;

  Result<std::vector<KeyRecord>> load() override { return keys; }
  Result<std::vector<KeyRecord>> load(std::string_view) override { return bug("not here"); }
  Result<IncarnationOutcome> enter_incarnation(std::string_view, std::uint32_t) override {
    return IncarnationOutcome::kSame;
  }
  Result<IssueOutcome> issue(const KeyRecord&, std::size_t) override { return bug("not here"); }
  Result<LatchOutcome> latch(std::string_view, std::string_view) override { return bug("not here"); }
  Result<std::optional<std::string>> signer(std::string_view, std::string_view) override { return bug("not here"); }
  Result<std::vector<KeyRecord>> dead_signers(std::string_view) override { return bug("not here"); }
  Result<void> set_signer(std::string_view, std::string_view) override { return {}; }
  Result<bool> has_ended(std::string_view, std::string_view guid) override { return guid == kEndedGuid; }
  Result<std::optional<std::string>> note(std::string_view) override { return std::optional<std::string>{}; }
  Result<void> set_note(std::string_view, std::string_view) override { return {}; }
};

class VerifierTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char last : {'1', '2'}) {
      VmModel model;
      model.name = "vm";
      model.vm_id = std::string("6f9619ff-8b86-4d01-b42d-00cf4fc9640") + last;
      model.private_addresses = {{10, 0, 0, static_cast<std::uint8_t>(last)}};
      auto vm = make_vm(std::move(model), {});
      ASSERT_TRUE(vm);
      ASSERT_TRUE(registry_.add(std::move(*vm)));
    }
    add(0, kGuid, key_of('k'), KeyState::kLatched);
    add(0, kPendingGuid, key_of('p'), KeyState::kPending);
    add(1, kForeignGuid, key_of('f'), KeyState::kLatched);
    auto ring = KeyRing::open(store_, Secret::copy_of(std::string_view(master_)), registry_, clock_, 4);
    ASSERT_TRUE(ring) << ring.error().text();
    ring_ = std::move(*ring);
    verifier_.emplace(*ring_, clock_, 300);
  }
  void add(std::size_t machine, std::string_view guid, const std::string& key, KeyState state) {
    const std::string vm_id = registry_.all()[machine]->model.vm_id;
    auto sealed =
        seal(Secret::copy_of(std::string_view(master_)), as_bytes(key), as_bytes(vm_id + " " + std::string(guid)));
    ASSERT_TRUE(sealed);
    store_.keys.push_back({.vm_id = vm_id,
                           .guid = std::string(guid),
                           .issued = "",
                           .incarnation = 0,
                           .state = state,
                           .sealed = std::string(sealed->begin(), sealed->end())});
  }
  Verdict verify(const RequestText& text) {
    const ParsedRequest parsed(text);
    return verifier_->verify(*registry_.all()[0], parsed.request());
  }
  Verdict attest(const RequestText& text, std::string_view guid) {
    const ParsedRequest parsed(text);
    return verifier_->verify_attestation(*registry_.all()[0], guid, parsed.request());
  }
  static RequestText plain() {
    RequestText text;
    text.method = "POST";
    text.target = "/metadata/thing?b=2&a=1";
    text.header("x-note", "some value");
    text.body = "the body";
    return from_agent(text, kNow);
  }
  static RequestText endorsed() { return signed_with(plain(), key_of('k'), kGuid); }
  static std::string& value_of(RequestText& text, std::string_view name) {
    for (auto& [header, value] : text.headers) {
      if (header == name) {
        return value;
      }
    }
    ADD_FAILURE() << name;
    return text.headers.front().second;
  }

  std::string master_ = std::string(32, 'm');
  FakeClock clock_{kNow * 1'000'000'000};
  VmRegistry registry_;
  FixedStore store_;
  std::unique_ptr<KeyRing> ring_;
  std::optional<Verifier> verifier_;
};

TEST_F(VerifierTest, AcceptsWhatTheAgentEndorsed) {
  const Verdict verdict = verify(endorsed());
  EXPECT_EQ(verdict.reason, Reason::kNone) << to_string(verdict.reason);
  EXPECT_TRUE(verdict.elevated);
  RequestText user;
  user.target = "/metadata/instance";
  const Verdict ordinary = verify(signed_with(from_agent(user, kNow, false), key_of('k'), kGuid));
  EXPECT_EQ(ordinary.reason, Reason::kNone);
  EXPECT_FALSE(ordinary.elevated);
}

/// With these headers, signed as an agent that knows them does.
RequestText extended(HeaderLines lines) {
  RequestText text;
  text.target = "/metadata/thing";
  text.headers = std::move(lines);
  return signed_with(from_agent(text, kNow), key_of('k'), kGuid);
}

std::string nonce_text(const protocol::Nonce& nonce) {
  char text[protocol::kMostNonceSize];
  return std::string(protocol::format_nonce(nonce, text));
}

RequestText with_nonce(const protocol::Nonce& nonce) {
  return extended({{std::string(protocol::kNonceHeader), nonce_text(nonce)}});
}

TEST_F(VerifierTest, EachNonceIsAcceptedOnce) {
  constexpr std::uint64_t kEpoch = 0xE;
  verifier_.emplace(*ring_, clock_, 300, Asking{.replay = ReplayProtection::kOffered, .epoch = kEpoch});
  const RequestText first = with_nonce({kEpoch, 1, 1});
  EXPECT_EQ(verify(first).reason, Reason::kNone);
  EXPECT_EQ(verify(first).reason, Reason::kReplayed);
  EXPECT_EQ(verify(with_nonce({kEpoch, 1, 2})).reason, Reason::kNone);
  EXPECT_EQ(verify(with_nonce({kEpoch + 1, 1, 3})).reason, Reason::kNonceStale);
  EXPECT_EQ(verify(extended({{std::string(protocol::kNonceHeader), "1"}})).reason, Reason::kBadNonce);
  EXPECT_EQ(verify(endorsed()).reason, Reason::kNone) << "who knows no nonces is served";
  EXPECT_EQ(verify(endorsed()).reason, Reason::kNone);
  RequestText twice = with_nonce({kEpoch, 1, 4});
  twice.header("X-Ms-OpenMsp-Nonce", nonce_text({kEpoch, 1, 5}));
  EXPECT_EQ(verify(twice).reason, Reason::kDuplicateTrustedHeader);
  verifier_.emplace(*ring_, clock_, 300, Asking{.replay = ReplayProtection::kRequired, .epoch = kEpoch});
  EXPECT_EQ(verify(endorsed()).reason, Reason::kNonceMissing);
  EXPECT_EQ(verify(with_nonce({kEpoch, 1, 6})).reason, Reason::kNone);
  EXPECT_EQ(attest(signed_with(plain(), key_of('p'), kPendingGuid), kPendingGuid).reason, Reason::kNone)
      << "the channel itself goes on without";
}

TEST_F(VerifierTest, WhatWasSignedBeforeTheMachineCameBackIsStale) {
  constexpr std::uint64_t kEpoch = 0xE;
  const Asking asking{.replay = ReplayProtection::kOffered, .epoch = kEpoch};
  verifier_.emplace(*ring_, clock_, 300, asking);
  Vm& vm = *registry_.all()[0];
  const RequestText captured = with_nonce({kEpoch, 1, 1});
  EXPECT_EQ(verify(captured).reason, Reason::kNone);
  vm.nonces = {};
  vm.moves = 2;
  EXPECT_EQ(verify(captured).reason, Reason::kNonceStale);
  EXPECT_EQ(verify(with_nonce({asking.epoch_of(vm), 1, 1})).reason, Reason::kNone);
}

TEST_F(VerifierTest, ANonceIsKnownForAsLongAsItsDateIsGood) {
  constexpr std::uint64_t kEpoch = 0xE;
  verifier_.emplace(*ring_, clock_, 300, Asking{.replay = ReplayProtection::kOffered, .epoch = kEpoch});
  const auto dated = [&](std::uint64_t stream, std::int64_t date) {
    RequestText text;
    text.target = "/metadata/thing";
    text.headers = {{std::string(protocol::kNonceHeader), nonce_text({kEpoch, stream, 1})}};
    return signed_with(from_agent(text, date), key_of('k'), kGuid);
  };
  const RequestText ahead = dated(1, kNow + 300);
  EXPECT_EQ(verify(ahead).reason, Reason::kNone);
  clock_.advance_ms(599'000);
  EXPECT_EQ(verify(dated(2, kNow + 599)).reason, Reason::kNone) << "whoever opens a stream, sweeps";
  EXPECT_EQ(verify(ahead).reason, Reason::kReplayed);
  clock_.advance_ms(2'000);
  EXPECT_EQ(verify(ahead).reason, Reason::kStaleDate);
}

TEST_F(VerifierTest, ANonceThatDoesNotVerifyIsNotUsedUp) {
  constexpr std::uint64_t kEpoch = 0xE;
  verifier_.emplace(*ring_, clock_, 300, Asking{.replay = ReplayProtection::kOffered, .epoch = kEpoch});
  RequestText forged = with_nonce({kEpoch, 1, 1});
  forged.target = "/metadata/other";
  EXPECT_EQ(verify(forged).reason, Reason::kBadSignature);
  EXPECT_EQ(verify(with_nonce({kEpoch, 1, 1})).reason, Reason::kNone);
}

// An agent that does not know the headers would sign those of a client like any other: without the line behind.
TEST_F(VerifierTest, OurHeadersCountOnlyWhereTheAgentKnowsThem) {
  verifier_.emplace(*ring_, clock_, 300, Asking{.replay = ReplayProtection::kOffered, .epoch = 0xE});
  const std::string caller(protocol::kCallerHeader);
  const auto named = verify(extended({{caller, "uid=7 user=app denied=no_rule"}}));
  EXPECT_EQ(named.reason, Reason::kNone);
  ASSERT_TRUE(named.caller);
  EXPECT_EQ(named.caller->user, "app");
  EXPECT_EQ(verify(extended({{caller, "uid=x"}})).reason, Reason::kBadCaller);
  for (const auto& [name, value] : {std::pair(caller, std::string("uid=0 user=root")),
                                    std::pair(std::string(protocol::kNonceHeader), nonce_text({0xE, 1, 1}))}) {
    RequestText text;
    text.target = "/metadata/thing";
    text.header(name, value);
    text = from_agent(text, kNow);
    const ParsedRequest parsed(text);
    const auto& head = parsed.request().head;
    protocol::StringToSign to_sign;
    ASSERT_TRUE(to_sign.build({.method = head.method,
                               .path = parsed.request().target.path,
                               .query = {},
                               .headers = {head.headers.begin(), head.headers.size()}}));
    auto mac = HmacSha256::create(as_bytes(key_of('k')));
    const auto signature = protocol::sign(*mac, to_sign, std::string_view());
    std::string authorization;
    protocol::format_authorization(kGuid, *signature, authorization);
    text.header(std::string(protocol::kAuthorizationHeader), authorization);
    EXPECT_EQ(verify(text).reason, Reason::kBadSignature) << name;
  }
}

TEST_F(VerifierTest, RefusesEachAlterationWithItsReason) {
  const std::string authorization(protocol::kAuthorizationHeader);
  const std::string claims(protocol::kClaimsHeader);
  const std::string date(protocol::kDateHeader);
  struct Row {
    const char* name;
    std::function<void(RequestText&)> alter;
    Reason reason;
  };
  const Row rows[] = {
      {"no signature", [](RequestText& t) { t.headers.pop_back(); }, Reason::kUnsigned},
      {"method", [](RequestText& t) { t.method = "PUT"; }, Reason::kBadSignature},
      {"path", [](RequestText& t) { t.target = "/metadata/thinG?b=2&a=1"; }, Reason::kBadSignature},
      {"query value", [](RequestText& t) { t.target = "/metadata/thing?b=2&a=2"; }, Reason::kBadSignature},
      {"query added", [](RequestText& t) { t.target += "&c"; }, Reason::kBadSignature},
      {"body", [](RequestText& t) { t.body = "The body"; }, Reason::kBadSignature},
      {"header value", [](RequestText& t) { value_of(t, "x-note") += "!"; }, Reason::kBadSignature},
      {"header added", [](RequestText& t) { t.header("x-more", "1"); }, Reason::kBadSignature},
      {"header removed", [](RequestText& t) { std::erase_if(t.headers, [](auto& h) { return h.first == "x-note"; }); },
       Reason::kBadSignature},
      {"header repeated with another value", [](RequestText& t) { t.header("x-note", "evil"); }, Reason::kBadSignature},
      {"another value before the signed one",
       [](RequestText& t) { t.headers.insert(t.headers.begin(), {"X-Note", "evil"}); }, Reason::kRepeatedHeader},
      {"host", [](RequestText& t) { value_of(t, "host") = "168.63.129.16"; }, Reason::kBadSignature},
      {"claims", [&](RequestText& t) { value_of(t, claims) = R"({ "isRoot": "false"})"; }, Reason::kBadSignature},
      {"date", [&](RequestText& t) { value_of(t, date) = date_text(kNow + 1); }, Reason::kBadSignature},
      {"second claims", [&](RequestText& t) { t.header(claims, R"({ "isRoot": "true"})"); },
       Reason::kDuplicateTrustedHeader},
      {"second claims in capitals", [&](RequestText& t) { t.header(ascii_upper(claims), "x"); },
       Reason::kDuplicateTrustedHeader},
      {"second date", [&](RequestText& t) { t.header(date, date_text(kNow)); }, Reason::kDuplicateTrustedHeader},
      {"second authorization", [&](RequestText& t) { t.header(authorization, value_of(t, authorization)); },
       Reason::kDuplicateTrustedHeader},
      {"signature digit",
       [&](RequestText& t) {
         char& last = value_of(t, authorization).back();
         last = last == '0' ? '1' : '0';
       },
       Reason::kBadSignature},
      {"signature in capitals",
       [&](RequestText& t) {
         std::string& value = value_of(t, authorization);
         value = value.substr(0, value.size() - 64) + std::string(64, 'A');
       },
       Reason::kBadAuthorizationHeader},
      {"signature cut", [&](RequestText& t) { value_of(t, authorization).pop_back(); },
       Reason::kBadAuthorizationHeader},
      {"two blanks",
       [&](RequestText& t) {
         std::string& value = value_of(t, authorization);
         value.insert(value.find(' '), " ");
       },
       Reason::kBadAuthorizationHeader},
      {"scheme",
       [&](RequestText& t) {
         std::string& value = value_of(t, authorization);
         value = "Azure-HMAC-SHA512" + value.substr(value.find(' '));
       },
       Reason::kBadAuthorizationHeader},
      {"empty authorization", [&](RequestText& t) { value_of(t, authorization).clear(); },
       Reason::kBadAuthorizationHeader},
  };
  for (const Row& row : rows) {
    RequestText text = endorsed();
    row.alter(text);
    const Verdict verdict = verify(text);
    EXPECT_EQ(to_string(verdict.reason), to_string(row.reason)) << row.name;
    EXPECT_FALSE(verdict.elevated) << row.name;
  }
}

TEST_F(VerifierTest, LeavesAloneWhatIsSignedAlike) {
  const std::function<void(RequestText&)> rows[] = {
      [](RequestText& t) { t.target = "/metadata/thing?a=1&b=2"; },
      [](RequestText& t) { t.target = "/metadata/thing?B=2&A=1"; },
      [](RequestText& t) { t.headers[3].first = "X-NOTE"; },
      [](RequestText& t) { value_of(t, "x-note") = "  some value\t "; },
      [](RequestText& t) { std::swap(t.headers.front(), t.headers.back()); },
      [](RequestText& t) { t.headers.insert(t.headers.begin(), {"x-note", value_of(t, "x-note") + " "}); },
  };
  for (const auto& alter : rows) {
    RequestText text = endorsed();
    alter(text);
    EXPECT_EQ(to_string(verify(text).reason), "none");
  }
}

TEST_F(VerifierTest, EveryBitOfTheSignatureCounts) {
  const RequestText good = endorsed();
  const std::string digits = "0123456789abcdef";
  for (std::size_t position = 0; position < 64; ++position) {
    RequestText text = good;
    std::string& value = text.headers.back().second;
    char& digit = value[value.size() - 64 + position];
    digit = digits[(digits.find(digit) + 1) % 16];
    EXPECT_EQ(verify(text).reason, Reason::kBadSignature) << position;
  }
}

TEST_F(VerifierTest, TellsKeysApart) {
  EXPECT_EQ(verify(signed_with(plain(), key_of('k'), kForeignGuid)).reason, Reason::kForeignKey);
  const VmCounters& owner = ring_->find(kForeignGuid)->vm->counters;
  EXPECT_EQ(owner.key_used_by_others, 0U) << "naming a key is not having it";
  EXPECT_EQ(verify(signed_with(plain(), key_of('f'), kForeignGuid)).reason, Reason::kForeignKey);
  EXPECT_EQ(owner.key_used_by_others, 1U);
  EXPECT_EQ(verify(signed_with(plain(), key_of('p'), kPendingGuid)).reason, Reason::kKeyNotLatched);
  EXPECT_EQ(verify(signed_with(plain(), key_of('k'), "00000000-0000-4000-8000-000000000000")).reason,
            Reason::kUnknownKey);
  EXPECT_EQ(verify(signed_with(plain(), key_of('k'), kEndedGuid)).reason, Reason::kKeyEnded);
  EXPECT_EQ(verify(signed_with(plain(), key_of('f'), kGuid)).reason, Reason::kBadSignature);
  EXPECT_EQ(verify(signed_with(plain(), key_of('k'), ascii_upper(kGuid))).reason, Reason::kBadAuthorizationHeader);
}

TEST_F(VerifierTest, ChecksClaimsOfASoundSignature) {
  for (const std::string claims : {R"({"isRoot":"true"})", R"({ "isRoot": true})", R"({ "isRoot": "True"})", "",
                                   R"({ "isRoot": "true"} )"
                                   "x",
                                   R"({ "isRoot": "true", "isRoot": "false"})"}) {
    RequestText text = plain();
    value_of(text, protocol::kClaimsHeader) = claims;
    EXPECT_EQ(verify(signed_with(text, key_of('k'), kGuid)).reason, Reason::kBadClaims) << claims;
  }
  RequestText without = plain();
  std::erase_if(without.headers, [](auto& header) { return header.first == protocol::kClaimsHeader; });
  EXPECT_EQ(verify(signed_with(without, key_of('k'), kGuid)).reason, Reason::kBadClaims);
}

TEST_F(VerifierTest, KeepsTheDateWindow) {
  const struct {
    std::string date;
    Reason reason;
  } rows[] = {
      {date_text(kNow - 300), Reason::kNone},
      {date_text(kNow + 300), Reason::kNone},
      {date_text(kNow - 301), Reason::kStaleDate},
      {date_text(kNow + 301), Reason::kStaleDate},
      {date_text(0), Reason::kStaleDate},
      {"", Reason::kBadDate},
      {"now", Reason::kBadDate},
      {"2025-04-23T12:00:00Z", Reason::kBadDate},
      {date_text(kNow).substr(0, 26) + "UTC", Reason::kBadDate},
  };
  for (const auto& row : rows) {
    RequestText text = plain();
    value_of(text, protocol::kDateHeader) = row.date;
    EXPECT_EQ(to_string(verify(signed_with(text, key_of('k'), kGuid)).reason), to_string(row.reason)) << row.date;
  }
  RequestText without = plain();
  std::erase_if(without.headers, [](auto& header) { return header.first == protocol::kDateHeader; });
  EXPECT_EQ(verify(signed_with(without, key_of('k'), kGuid)).reason, Reason::kBadDate);
  clock_.advance_ms(301'000);
  EXPECT_EQ(verify(endorsed()).reason, Reason::kStaleDate) << "a captured request grows old";
}

TEST_F(VerifierTest, AttestationTakesThePathsKeyOnly) {
  EXPECT_EQ(attest(signed_with(plain(), key_of('p'), kPendingGuid), kPendingGuid).reason, Reason::kNone);
  EXPECT_EQ(attest(signed_with(plain(), key_of('k'), kGuid), kGuid).reason, Reason::kNone);
  EXPECT_EQ(attest(signed_with(plain(), key_of('k'), kGuid), kPendingGuid).reason, Reason::kBadAuthorizationHeader);
  EXPECT_EQ(attest(signed_with(plain(), key_of('f'), kForeignGuid), kForeignGuid).reason, Reason::kForeignKey);
  EXPECT_EQ(attest(signed_with(plain(), key_of('k'), kEndedGuid), kEndedGuid).reason, Reason::kKeyEnded);
  EXPECT_EQ(attest(signed_with(plain(), key_of('x'), kPendingGuid), kPendingGuid).reason, Reason::kBadSignature);
  EXPECT_EQ(attest(plain(), kPendingGuid).reason, Reason::kUnsigned);
}

TEST_F(VerifierTest, AnOutgoingKeySignsRequestsForAWhileAndAttestsNothing) {
  ring_->rotate(*registry_.all()[0]);
  EXPECT_EQ(verify(endorsed()).reason, Reason::kNone);
  EXPECT_EQ(verify(signed_with(plain(), key_of('x'), kGuid)).reason, Reason::kBadSignature);
  EXPECT_EQ(attest(endorsed(), kGuid).reason, Reason::kKeyEnded);
  EXPECT_EQ(verify(signed_with(plain(), key_of('p'), kPendingGuid)).reason, Reason::kUnknownKey);
  clock_.advance_ms(kMostOverlapMs);
  RequestText late = signed_with(from_agent({.method = "GET", .target = "/", .headers = {}, .body = {}},
                                            kNow + static_cast<std::int64_t>(kMostOverlapMs / 1000)),
                                 key_of('k'), kGuid);
  EXPECT_EQ(verify(late).reason, Reason::kKeyEnded);
}

TEST_F(VerifierTest, AMachineWithoutALatchedKeyAcceptsNothing) {
  registry_.all()[0]->latched = nullptr;
  EXPECT_EQ(verify(signed_with(plain(), key_of('x'), kGuid)).reason, Reason::kKeyNotLatched);
}

}  // namespace
}  // namespace msp::gateway
