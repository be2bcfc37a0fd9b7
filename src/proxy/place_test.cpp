// SPDX-License-Identifier: Apache-2.0
// A connection whose cgroup is not known yet waits for it, and only if a rule asks for units, cgroups or containers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kRequest = "GET /metadata/instance HTTP/1.1\r\nHost: metadata.test\r\n\r\n";

/// Everybody, or everybody in a.service; with `dry_run`, a.service is denied on trial.
std::shared_ptr<const policy::Snapshot> rules(bool with_unit, bool dry_run = false) {
  RuleIdentity unit;
  unit.name = "in-unit";
  unit.openmsp.unit = "a.service";
  RuleIdentity everybody;
  everybody.name = "everybody";
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "r", .rules = RuleSections()};
  item.rules->privileges = {{{.name = "p", .path = "/metadata", .query_parameters = {}}}};
  item.rules->roles = {{{.name = "o", .privileges = {"p"}}}};
  item.rules->identities = {{everybody}};
  item.rules->role_assignments = {{{.role = "o", .identities = {with_unit && !dry_run ? "in-unit" : "everybody"}}}};
  if (with_unit) {
    item.rules->identities->push_back(unit);
  }
  if (dry_run) {
    item.rules->role_assignments->push_back(
        {.role = "o", .identities = {"in-unit"}, .openmsp = {.deny = true, .dry_run = true}});
  }
  policy::Snapshot out;
  out.rules[0] = policy::RuleSet::compile(item, out.matching);
  return std::make_shared<const policy::Snapshot>(std::move(out));
}

class PlaceTest : public testing::Test {
 protected:
  PlaceTest()
      : origin_([](test::RawOrigin& origin, int socket) {
          while (!origin.read_request(socket).empty()) {
            test::RawOrigin::say(socket, kOk);
          }
        }),
        plane_(origin_.endpoint()) {
    plane_.identities.on_settle_cgroup = [this](identity::ConnectionIdentity& identity) {
      if (path_.empty() && !gone_) {
        return false;
      }
      identity.cgroup_gone = gone_;
      if (!gone_) {
        identity.cgroup = std::make_shared<const identity::CgroupPlace>(identity::place_in(path_));
      }
      return true;
    };
  }
  /// What is known from now on.
  void tell(std::string path, bool gone = false) {
    plane_.on_loop([&] {
      path_ = std::move(path);
      gone_ = gone;
      plane_.plane->identities_changed();
    });
  }

  test::RawOrigin origin_;
  TestPlane plane_;
  std::string path_;  // on the loop, once it runs
  bool gone_ = false;
};

TEST_F(PlaceTest, WaitsForTheCgroupAndIsServed) {
  plane_.open_gate(Readiness::kSign, rules(true));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_EQ(client.read_until("hello", 200), "") << "nothing is decided before the cgroup is known";
  tell("/system.slice/a.service");
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(plane_.lines().at(0), HasSubstr("\"cgroup\":\"/system.slice/a.service\"")) << "a dry run needs it";
}

TEST_F(PlaceTest, AnotherUnitIsDenied) {
  plane_.open_gate(Readiness::kSign, rules(true));
  tell("/system.slice/b.service");
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(plane_.lines().at(0), HasSubstr("\"reason\":\"identity_mismatch\""));
}

TEST_F(PlaceTest, ACgroupThatIsGoneMatchesNothing) {
  plane_.open_gate(Readiness::kSign, rules(true));
  tell("", true);
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 403 "));
  EXPECT_EQ(origin_.log(), "");
}

TEST_F(PlaceTest, ACgroupThatIsNotLookedUpInTimeIsNotReadyAndTheConnectionLives) {
  plane_.open_gate(Readiness::kSign, rules(true));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  const std::string answer = client.read_until("request_id", 5000);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 410 "));
  EXPECT_THAT(answer, HasSubstr("retry-after: 1\r\n"));
  EXPECT_EQ(origin_.log(), "");
  tell("/a.service");
  client.send(kRequest);
  EXPECT_THAT(client.read_until("hello"), HasSubstr("HTTP/1.1 200 "));
}

TEST_F(PlaceTest, NobodyWaitsWhereNoRuleAsks) {
  plane_.open_gate(Readiness::kSign, rules(false));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(plane_.lines().at(0), Not(HasSubstr("\"cgroup\":")));
}

TEST_F(PlaceTest, RulesThatComeWhileItWaitsHoldAtOnce) {
  plane_.open_gate(Readiness::kSign, rules(true));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_EQ(client.read_until("hello", 100), "");
  plane_.open_gate(Readiness::kSign, rules(false));
  plane_.on_loop([this] { plane_.plane->identities_changed(); });
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(PlaceTest, AGateThatShutsWhileItWaitsIsNotReady) {
  plane_.open_gate(Readiness::kSign, rules(true));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_EQ(client.read_until("hello", 100), "");
  plane_.on_loop([this] { plane_.plane->install(std::make_shared<const Gate>()); });
  tell("/a.service");
  EXPECT_THAT(client.read_until("request_id"), StartsWith("HTTP/1.1 410 "));
  EXPECT_EQ(origin_.log(), "");
}

TEST_F(PlaceTest, ADryRunIsInTheRecordAndChangesNothing) {
  plane_.open_gate(Readiness::kSign, rules(true, true));
  tell("/a.service");
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  const auto lines = plane_.lines();
  EXPECT_THAT(lines.at(0), HasSubstr("\"decision\":\"permit\""));
  EXPECT_THAT(lines.at(0), HasSubstr(R"("dry_run":"deny","dry_run_privilege":"p","dry_run_role":"o",)"
                                     R"("dry_run_identity":"in-unit")"));
}

}  // namespace
}  // namespace msp::proxy
