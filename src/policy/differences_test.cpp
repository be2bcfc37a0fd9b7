// SPDX-License-Identifier: Apache-2.0
// Every intended difference of the two ways to compare, with the examples of docs/policy.md.
#include <gtest/gtest.h>

#include "policy/matcher.h"
#include "tests/support/policy_request.h"

namespace msp::policy {
namespace {

struct Row {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
  std::string request;
  bool legacy;
  Verdict canonical;
};

Verdict yes_or_no(bool matches) { return matches ? Verdict::kAllow : Verdict::kDeny; }

TEST(Differences, AreAsDocumented) {
  const std::vector<Row> rows = {
      {"/test", {}, "/test-evil", true, Verdict::kDeny},
      {"/a/", {}, "/a", false, Verdict::kAllow},
      {"metadata", {}, "/metadata", false, Verdict::kAllow},
      {"/a/b", {}, "/a/./b", false, Verdict::kAllow},
      {"/a/b", {}, "/a;v=1/b", false, Verdict::kAllow},
      {"/a%20b", {}, "/a%20b", false, Verdict::kAllow},
      {"/a", {{"k", "v"}}, "/a%3Fk=v", true, Verdict::kReject},
      {"/a", {}, "/a/%zz", true, Verdict::kReject},
      {"/a", {}, "/a/%ff", true, Verdict::kReject},
      {"/a", {}, "/a/%01", true, Verdict::kReject},
      {"/a", {}, "/a/%C3%A4", true, Verdict::kReject},
      {"/a", {{"k", "v"}}, "/a?k=x&k=v", false, Verdict::kAllow},
      {"/a", {{"k", "a b"}}, "/a?k=a+b", false, Verdict::kAllow},
      {"/a", {{"k", "a&b"}}, "/a?k=a%26b", true, Verdict::kDeny},
      {"/a", {{"k", "\xC3\x84"}}, "/a?k=%C3%84", true, Verdict::kDeny},
      // The same in both.
      {"/Test", {{"K", "V"}}, "/test/x?k=v&other=1", true, Verdict::kAllow},
      {"/test", {}, "/other", false, Verdict::kDeny},
  };
  identity::ConnectionIdentity caller;
  caller.known = true;
  for (const Row& row : rows) {
    SCOPED_TRACE(row.path + " against " + row.request);
    RuleItem item{.default_access = "deny", .mode = "enforce", .id = "r", .rules = RuleSections()};
    item.rules->privileges = {{{.name = "p", .path = row.path, .query_parameters = row.query}}};
    item.rules->roles = {{{.name = "r", .privileges = {"p"}}}};
    item.rules->identities.emplace().emplace_back().name = "everybody";
    item.rules->role_assignments = {{{.role = "r", .identities = {"everybody"}}}};
    const auto rules = RuleSet::compile(item, Matching::kShadow);
    const test::PolicyRequest request(Service::kImds, "GET", row.request);
    ASSERT_TRUE(request.ok());
    EXPECT_EQ(match_legacy(*rules, caller, request.view()).verdict, yes_or_no(row.legacy));
    EXPECT_EQ(match_canonical(*rules, caller, request.view()).verdict, row.canonical);
  }
}

}  // namespace
}  // namespace msp::policy
