// SPDX-License-Identifier: Apache-2.0
// A connection whose executable is not known yet waits for the pins, and only if a rule asks for executables.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/test_plane.h"

namespace msp::proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kTool = "/usr/bin/tool";
constexpr const char* kRequest = "GET /metadata/instance HTTP/1.1\r\nHost: metadata.test\r\n\r\n";

std::shared_ptr<const policy::Snapshot> rules(bool with_executable) {
  RuleIdentity identity;
  identity.name = "i";
  if (with_executable) {
    identity.exe_path = kTool;
  }
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "r", .rules = RuleSections()};
  item.rules->privileges = {{{.name = "p", .path = "/metadata", .query_parameters = {}}}};
  item.rules->roles = {{{.name = "o", .privileges = {"p"}}}};
  item.rules->identities = {{identity}};
  item.rules->role_assignments = {{{.role = "o", .identities = {"i"}}}};
  policy::Snapshot out;
  out.rules[0] = policy::RuleSet::compile(item, out.matching);
  return std::make_shared<const policy::Snapshot>(std::move(out));
}

class ExecutableTest : public testing::Test {
 protected:
  ExecutableTest()
      : origin_([](test::RawOrigin& origin, int socket) {
          while (!origin.read_request(socket).empty()) {
            test::RawOrigin::say(socket, kOk);
          }
        }),
        plane_(origin_.endpoint()) {
    plane_.identities.answer.exe_ticket = 1;
    plane_.identities.on_settle = [this](identity::ConnectionIdentity& identity) {
      if (!caught_up_) {
        return false;
      }
      identity.exe_ticket = 0;
      identity.exe_not_yet = young_;
      if (!young_) {
        identity.exe_rule_paths = {kTool};
      }
      return true;
    };
  }

  test::RawOrigin origin_;
  TestPlane plane_;
  bool caught_up_ = false;  // on the loop, once it runs
  bool young_ = false;
};

TEST_F(ExecutableTest, WaitsForThePinsAndIsServed) {
  plane_.open_gate(Readiness::kSign, rules(true));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_EQ(client.read_until("hello", 200), "") << "nothing is decided before the pins have caught up";
  plane_.on_loop([this] { plane_.plane->identities_changed(); });
  EXPECT_EQ(client.read_until("hello", 100), "") << "a change that says nothing of it";
  plane_.on_loop([this] {
    caught_up_ = true;
    plane_.plane->identities_changed();
  });
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(plane_.lines().at(0), HasSubstr("\"exe_rule\":\"/usr/bin/tool\""));
}

TEST_F(ExecutableTest, PinsThatNeverCatchUpAreNotReady) {
  plane_.open_gate(Readiness::kSign, rules(true));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  const std::string answer = client.read_all(5000);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 410 "));
  EXPECT_THAT(answer, HasSubstr("\"not_ready\""));
  EXPECT_THAT(answer, HasSubstr("retry-after: 1\r\n"));
  EXPECT_EQ(origin_.log(), "");
  EXPECT_THAT(plane_.lines().at(0), HasSubstr("\"reason\":\"not_ready\""));
}

TEST_F(ExecutableTest, APinYoungerThanTheRecordIsNotReady) {
  caught_up_ = young_ = true;
  plane_.open_gate(Readiness::kSign, rules(true));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 410 ")) << "and the connection ends: only a new one can be known";
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(origin_.log(), "");
}

// Rules that come later name the executable of a connection that lives: it is told to come again, not that it may not.
TEST_F(ExecutableTest, RulesThatComeLaterAskLivingConnectionsToComeAgain) {
  caught_up_ = young_ = true;
  plane_.identities.answer.exe_ticket = 0;
  plane_.open_gate(Readiness::kSign, rules(false));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  plane_.open_gate(Readiness::kSign, rules(true));
  client.send(kRequest);
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 410 "));
}

// What the executable was found to be belongs to the rules of that moment: others may call the same file otherwise.
TEST_F(ExecutableTest, OtherRulesAreComparedAnew) {
  caught_up_ = true;
  const auto generation = [](std::uint64_t number) {
    auto out = std::make_shared<policy::Snapshot>(*rules(true));
    out->generation = number;
    return out;
  };
  plane_.open_gate(Readiness::kSign, generation(1));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
  plane_.on_loop([this] { young_ = true; });
  client.send(kRequest);
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 ")) << "the same rules ask once";
  plane_.open_gate(Readiness::kSign, generation(2));
  client.send(kRequest);
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 410 "));
}

TEST_F(ExecutableTest, NobodyWaitsWhereNoRuleAsks) {
  plane_.open_gate(Readiness::kSign, rules(false));
  test::RawClient client(plane_.at);
  client.send(kRequest);
  EXPECT_THAT(client.read_until("hello"), StartsWith("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace msp::proxy
