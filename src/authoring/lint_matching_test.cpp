// SPDX-License-Identifier: Apache-2.0
// Where the two readings of rules differ, tried as everybody whom that concerns.
#include <gmock/gmock.h>

#include <algorithm>

#include "authoring/lint.h"

namespace msp::authoring {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr LintOptions kOff{.matching = policy::Matching::kOff};
constexpr LintOptions kField{.target = Target::kField};

/// Findings of one code about the readings, "warning: text".
std::vector<std::string> told(const std::string& text, std::string_view code, const LintOptions& options) {
  auto parsed = RuleText::parse(text, "r.json");
  EXPECT_TRUE(parsed);
  auto report = lint(*parsed, options);
  EXPECT_TRUE(report);
  std::vector<std::string> out;
  for (const Finding& finding : report->findings) {
    if (finding.code == code) {
      out.push_back(std::string(to_string(finding.severity)) + ": " + finding.text);
    }
  }
  return out;
}

// One path is al's, everything else is everybody's.
constexpr const char* kOpen = R"({"defaultAccess":"allow","mode":"enforce","id":"x","rules":{
  "privileges":[{"name":"p","path":"/metadata/identity"}],"roles":[{"name":"r","privileges":["p"]}],
  "identities":[{"name":"i","userName":"al"}],"roleAssignments":[{"role":"r","identities":["i"]}]}})";

TEST(LintMatching, WhereTheDefaultAllowsStrangersGetPastARule) {
  for (const auto& [code, target] : {std::pair("dot-segment", "GET /./metadata/identity by somebody"),
                                     std::pair("matrix-parameter", "GET /metadata;a=b/identity by somebody")}) {
    for (const LintOptions& options : {kOff, kField}) {
      EXPECT_THAT(told(kOpen, code, options),
                  Contains(AllOf(HasSubstr("warning: "), HasSubstr(target),
                                 HasSubstr("legacy matching allows it, canonical denies (identity_mismatch)"),
                                 HasSubstr("everybody gets past the rule"))));
    }
    EXPECT_THAT(told(kOpen, code, {}), Contains(AllOf(HasSubstr("note: "), HasSubstr("everybody gets past"))));
  }
  EXPECT_THAT(told(kOpen, "legacy-prefix", kOff),
              Contains(AllOf(HasSubstr("GET /metadata/identity-x by somebody"), HasSubstr("nobody gains"))));
}

// Everybody may ask for all, but bob not for tokens.
std::string with_deny(const std::string& everybody, const std::string& bob) {
  return R"({"defaultAccess":"deny","mode":"enforce","id":"x","rules":{"privileges":[
    {"name":"all","path":"/metadata"},{"name":"tok","path":"/metadata/identity"}],
    "roles":[{"name":"any","privileges":["all"]},{"name":"tokens","privileges":["tok"]}],
    "identities":[{"name":"e")" +
         everybody + R"(},{"name":"b")" + bob + R"(}],"roleAssignments":[{"role":"any","identities":["e"]},
    {"role":"tokens","identities":["b"],"openmsp":{"effect":"deny"}}]}})";
}

TEST(LintMatching, WhoIsDeniedGetsPastADeny) {
  const std::string plain = with_deny("", R"(,"userName":"bob")");
  // Not in front of the first segment, where the broad rule is not met either.
  EXPECT_THAT(told(plain, "dot-segment", kOff),
              Contains(AllOf(HasSubstr("warning: "), HasSubstr("GET /metadata/./identity by user bob"),
                             HasSubstr("canonical denies (explicit_deny); who is denied this gets past the deny"))));
  EXPECT_THAT(told(plain, "dot-segment", {}), Each(HasSubstr("note: ")));
  // Nobody but members of the group may ask for all: bob must be one to get anything.
  const std::string group = with_deny(R"(,"groupName":"ops")", R"(,"userName":"bob")");
  EXPECT_THAT(told(group, "dot-segment", kOff), Contains(HasSubstr("GET /metadata/./identity by user bob, group ops")));
  // A deny of a name that nobody has is about those without one.
  EXPECT_THAT(told(with_deny("", R"(,"userName":"undefined")"), "matrix-parameter", kOff),
              Contains(HasSubstr("by a user without name: legacy matching allows it")));
}

TEST(LintMatching, ARefusedSpellingOfWhatIsGrantedIsNoGain) {
  const std::string closed = std::string(kOpen).replace(18, 5, "deny");
  for (const char* code : {"malformed-escape", "non-ascii"}) {
    EXPECT_THAT(told(closed, code, kOff), Each(AllOf(HasSubstr("note: "), HasSubstr("nobody gains"))));
    EXPECT_THAT(told(closed, code, kOff), Not(IsEmpty()));
  }
}

}  // namespace
}  // namespace msp::authoring
