// SPDX-License-Identifier: Apache-2.0
// What an audit record does not say is never taken to be absent, and what it proves is used.
#include "authoring/fate.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "authoring/rule_source.h"

namespace msp::authoring {
namespace {

/// `identity`: members besides the name; `more`: assignments besides p0 / r0 / i0.
policy::Snapshot rules(std::string_view id, std::string_view identity, std::string_view more_identities = "",
                       std::string_view more_assignments = "", std::string_view query = "") {
  const std::string text = fmt::format(
      R"({{"defaultAccess":"deny","mode":"enforce","id":"{}","rules":{{
        "privileges":[{{"name":"p0","path":"/metadata"{}}}],"roles":[{{"name":"r0","privileges":["p0"]}}],
        "identities":[{{"name":"i0",{}}}{}],"roleAssignments":[{{"role":"r0","identities":["i0"]}}{}]}}}})",
      id, query, identity, more_identities, more_assignments);
  auto source = read_rules(text, "f");
  EXPECT_TRUE(source.ok()) << text;
  return source->compile(policy::Matching::kEnforce);
}

constexpr std::string_view kByI0 = R"(,"rule_set":"v2","privilege":"p0","role":"r0","identity":"i0")";
constexpr std::string_view kNotI0 = R"(,"reason":"identity_mismatch","rule_set":"v2","privilege":"p0")";

RequestLine record(std::string_view decision, std::string_view more, std::string_view exe = "/usr/bin/curl",
                   std::string_view target = "/metadata") {
  return read_request_line(fmt::format(
      R"({{"time":"x","request_id":"0-1","connection":1,"decision":"{}","status":200,"service":"imds","method":"GET",)"
      R"("target":"{}","uid":1000,"gid":1000,"user":"alice","exe":"{}","process":"x","cgroup_id":1{}}})",
      decision, target, exe, more));
}

Fate fate(RequestLine line, policy::Snapshot now, std::optional<policy::Snapshot> before = std::nullopt) {
  // Views in a Fate end with the rules; the tests look at values only.
  return Fates(std::move(now), std::move(before), {}).of(line);
}

constexpr std::string_view kUnitA = R"("userName":"alice","openmsp":{"unit":"a.service"})";
constexpr std::string_view kUnitB = R"("userName":"alice","openmsp":{"unit":"b.service"})";
constexpr std::string_view kOps = R"("userName":"alice","groupName":"ops")";
constexpr std::string_view kLink = R"("userName":"alice","exePath":"/usr/bin/fetch")";

TEST(Fate, TheRulesThatMadeTheRecordChangeNothing) {
  for (const std::string_view identity : {kUnitA, kOps, kLink}) {
    const Fate permit = fate(record("permit", kByI0), rules("v2", identity));
    EXPECT_EQ(permit.change, Change::kSame) << identity;
    EXPECT_EQ(permit.outcome, Outcome::kPermit);
    EXPECT_TRUE(permit.by_record) << "only the id says so";
    const Fate deny = fate(record("deny", kNotI0), rules("v2", identity));
    EXPECT_EQ(deny.change, Change::kSame) << identity;
    EXPECT_EQ(deny.outcome, Outcome::kDeny);
  }
}

TEST(Fate, AUnitThatIsRenamedIsAnOutage) {
  const Fate out = fate(record("permit", kByI0), rules("v3", kUnitB), rules("v2", kUnitA));
  EXPECT_EQ(out.change, Change::kDifferent);
  EXPECT_EQ(out.before, Outcome::kPermit);
  EXPECT_EQ(out.outcome, Outcome::kDeny);
  // Also if the new rules have the old id still: the version to compare with is the one that decided.
  EXPECT_EQ(fate(record("permit", kByI0), rules("v2", kUnitB), rules("v2", kUnitA)).change, Change::kDifferent);
}

TEST(Fate, WhatTheRecordDoesNotProveCannotBeTold) {
  for (const std::string_view identity : {kUnitB, kOps, kLink}) {
    for (const std::string_view by : {kByI0, std::string_view()}) {
      const Fate out = fate(record("permit", by), rules("v3", identity));
      EXPECT_EQ(out.change, Change::kUnknown) << identity << by;
      EXPECT_EQ(out.outcome, std::nullopt);
    }
  }
  const Fate other = fate(record("deny", kNotI0), rules("v3", kUnitB), rules("v2", kUnitA));
  EXPECT_EQ(other.change, Change::kUnknown) << "it was not in a.service, but may have been in b.service";
  EXPECT_EQ(other.before, Outcome::kDeny);
  EXPECT_TRUE(other.unsaid.place);
  EXPECT_EQ(other.unsaid.text(), "unit, cgroup or container");
}

TEST(Fate, WhatBothVersionsAskAlikeNeedNotBeKnown) {
  const Fate out = fate(record("permit", ""), rules("v3", kUnitA), rules("v2", kUnitA));
  EXPECT_EQ(out.change, Change::kSame);
  EXPECT_EQ(out.outcome, std::nullopt);
  EXPECT_EQ(fate(record("permit", ""), rules("v3", R"("userName":"bob","groupName":"ops")")).change, Change::kDifferent)
      << "whatever alice's groups are, she is not bob";
}

TEST(Fate, ADenyOfAnotherUnitIsNotTakenForOneOfThis) {
  const auto denies = [](std::string_view id, std::string_view unit) {
    return rules(id, R"("userName":"alice")", fmt::format(R"(,{{"name":"i1","openmsp":{{"unit":"{}"}}}})", unit),
                 R"(,{"role":"r0","identities":["i1"],"openmsp":{"effect":"deny"}})");
  };
  EXPECT_EQ(fate(record("permit", kByI0), denies("v2", "x.service")).change, Change::kSame);
  EXPECT_EQ(fate(record("permit", kByI0), denies("v3", "x.service")).change, Change::kUnknown);
  EXPECT_EQ(fate(record("permit", kByI0), denies("v3", "y.service"), denies("v2", "x.service")).change,
            Change::kUnknown);
  EXPECT_EQ(fate(record("deny", R"(,"reason":"explicit_deny","rule_set":"v2")"), rules("v3", R"("userName":"alice")"),
                 denies("v2", "x.service"))
                .change,
            Change::kDifferent);
}

TEST(Fate, WhatTheRecordSaysOfTheCallerNeedsNoProof) {
  const RequestLine in_b = record("permit", R"(,"cgroup":"/system.slice/b.service","rule_set":"v1")");
  EXPECT_EQ(fate(in_b, rules("v3", kUnitB)).change, Change::kSame);
  EXPECT_EQ(fate(in_b, rules("v3", kUnitA)).change, Change::kDifferent);
  EXPECT_EQ(fate(record("permit", R"(,"exe_rule":"/usr/bin//fetch")"), rules("v3", kLink)).change, Change::kSame);
  EXPECT_FALSE(fate(in_b, rules("v3", kUnitB)).by_record);
  const std::string long_path = "/" + std::string(511, 'a');
  EXPECT_EQ(fate(record("permit", fmt::format(R"(,"cgroup":"{}")", long_path)), rules("v3", kUnitB)).change,
            Change::kUnknown)
      << "it may have been cut";
}

TEST(Fate, ARedactedValueMayBeAny) {
  constexpr std::string_view kToken = R"(,"queryParameters":{"token":"x"})";
  const auto asks = [&](std::string_view id) { return rules(id, R"("userName":"alice")", "", "", kToken); };
  const auto line = [](std::string_view by) {
    return record("permit", by, "/usr/bin/curl", "/metadata?a=b&token=redacted");
  };
  EXPECT_EQ(fate(line(kByI0), asks("v2")).change, Change::kSame);
  EXPECT_EQ(fate(line(""), asks("v3")).change, Change::kUnknown);
  EXPECT_EQ(fate(line(""), rules("v3", R"("userName":"alice")")).change, Change::kSame) << "no rule asks for it";
  const RequestLine with_fragment = record("permit", "", "/usr/bin/curl", "/metadata?token=redacted#redacted");
  EXPECT_EQ(fate(with_fragment, asks("v3")).change, Change::kUnknown) << "nor does one ask for a fragment";
}

TEST(Fate, WhatUserInformationWasTakenOutOfMayBeAnything) {
  const auto change = [](std::string_view target) {
    const RequestLine line = record("permit", "", "/usr/bin/curl", std::string(target));
    return fate(line, rules("v3", R"("userName":"alice")")).change;
  };
  EXPECT_EQ(change("/metadata"), Change::kSame);
  EXPECT_NE(change("http://redacted@169.254.169.254/metadata"), Change::kUnknown) << "rules ask for no authority";
  for (const std::string_view target :
       {"/metadata/redacted@h", "http://h/metadata/redacted%40h", "//redacted@h/metadata",
        "/metadata?a=http://redacted@h", "http://redacted@h/metadata?redacted@h", "/metadata/redacted",
        "/metadata/x?a=1&redacted", "/metadata?redacted", "/metadata/redacted#redacted"}) {
    EXPECT_EQ(change(target), Change::kUnknown) << target;
  }
}

TEST(Fate, TextsThatMayBeCutAndTooMuchToTryCannotBeTold) {
  const std::string target = "/metadata/" + std::string(2038, 'a');
  EXPECT_EQ(fate(record("permit", kByI0, "/x", target), rules("v2", R"("userName":"alice")")).change, Change::kUnknown);
  std::string many;
  for (int i = 0; i < 200; ++i) {
    many += fmt::format(R"(,{{"name":"g{0}","groupName":"g{0}"}})", i);
  }
  const Fate out = fate(record("permit", kByI0), rules("v2", kOps, many));
  EXPECT_EQ(out.change, Change::kUnknown);
  EXPECT_TRUE(out.unsaid.too_much);
}

TEST(Fate, AProofHoldsWhateverElseIsOpen) {
  // i0 and two identities beside it, each of another group: three groups may be needed at once.
  const auto both = [](std::string_view id, std::string_view deny) {
    return rules(id, kOps, fmt::format(R"(,{{"name":"i1","groupName":"{}"}},{{"name":"i2","groupName":"more"}})", deny),
                 R"(,{"role":"r0","identities":["i1"],"openmsp":{"effect":"deny"}})");
  };
  EXPECT_EQ(fate(record("permit", kByI0), both("v3", "banned"), rules("v2", kOps)).change, Change::kUnknown);
  EXPECT_EQ(fate(record("permit", kByI0), both("v2", "banned")).change, Change::kSame);
}

}  // namespace
}  // namespace msp::authoring
