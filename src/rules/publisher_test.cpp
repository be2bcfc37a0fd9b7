// SPDX-License-Identifier: Apache-2.0
#include "rules/publisher.h"

#include <gtest/gtest.h>

#include "policy/engine.h"

namespace msp::rules {
namespace {

using policy::Matching;

class FakeLocal final : public LocalSource {
 public:
  LocalRules load(Service) override {
    ++loads;
    return rules;
  }
  LocalRules rules;
  int loads = 0;
};

class PublisherTest : public testing::Test {
 protected:
  static RuleItem item(std::string id, std::string mode = "enforce", std::string access = "deny") {
    return {.default_access = std::move(access), .mode = std::move(mode), .id = std::move(id), .rules = std::nullopt};
  }

  static protocol::StatusDocument document(std::optional<RuleItem> imds, std::optional<RuleItem> wireserver = {}) {
    protocol::StatusDocument out;
    out.version = "2.0";
    out.secure_channel_enabled = true;
    out.authorization_rules.emplace();
    out.authorization_rules->imds = std::move(imds);
    out.authorization_rules->wireserver = std::move(wireserver);
    return out;
  }

  const policy::RuleSet* held(Service service) const { return publisher.current()->of(service).get(); }

  FakeLocal local;
  std::vector<std::shared_ptr<const policy::Snapshot>> published;
  Publisher publisher{Matching::kEnforce, local, [this](auto snapshot) { published.push_back(std::move(snapshot)); }};
};

TEST_F(PublisherTest, BeginsWithoutRulesAndPublishesNothing) {
  EXPECT_EQ(held(Service::kImds), nullptr);
  EXPECT_EQ(publisher.current()->matching, Matching::kEnforce);
  publisher.apply(document(std::nullopt));
  EXPECT_TRUE(published.empty());
  EXPECT_FALSE(publisher.report(Service::kImds).has_rules);
}

TEST_F(PublisherTest, PublishesOncePerChange) {
  for (int poll = 0; poll < 3; ++poll) {
    publisher.apply(document(item("r1"), item("w1")));
  }
  ASSERT_EQ(published.size(), 1U);
  EXPECT_EQ(published[0]->generation, 1U);
  EXPECT_EQ(published[0], publisher.current());
  EXPECT_EQ(held(Service::kImds)->id(), "r1-useLocalFileRules-false");
  EXPECT_EQ(held(Service::kWireServer)->id(), "w1-useLocalFileRules-false");
}

TEST_F(PublisherTest, HostGaPluginFollowsTheRawWireServerItem) {
  publisher.apply(document(std::nullopt, item("w1")));
  EXPECT_EQ(held(Service::kHostGaPlugin)->id(), "w1");
  EXPECT_EQ(held(Service::kImds), nullptr);
}

TEST_F(PublisherTest, FollowsTheModeWithoutAnotherId) {
  publisher.apply(document(item("r1", "audit")));
  publisher.apply(document(item("r1", "enforce")));
  ASSERT_EQ(published.size(), 2U);
  EXPECT_EQ(published[0]->of(Service::kImds)->mode(), policy::Mode::kAudit);
  EXPECT_EQ(held(Service::kImds)->mode(), policy::Mode::kEnforce);
}

TEST_F(PublisherTest, FollowsRulesAndDefaultWithoutAnotherId) {
  publisher.apply(document(item("r1", "enforce", "deny")));
  publisher.apply(document(item("r1", "enforce", "allow")));
  RuleItem with_rules = item("r1", "enforce", "allow");
  with_rules.rules.emplace();
  publisher.apply(document(with_rules));
  EXPECT_EQ(published.size(), 3U);
}

TEST_F(PublisherTest, AppliesAnItemWithAnEmptyId) {
  publisher.apply(document(item("")));
  ASSERT_EQ(published.size(), 1U);
  ASSERT_NE(held(Service::kImds), nullptr);
  EXPECT_FALSE(held(Service::kImds)->default_allow());
}

TEST_F(PublisherTest, AnItemThatGoesAwayLeavesNoRules) {
  publisher.apply(document(item("r1")));
  publisher.apply(document(std::nullopt));
  EXPECT_EQ(published.size(), 2U);
  EXPECT_EQ(held(Service::kImds), nullptr);
  publisher.apply(document(item("r1")));
  protocol::StatusDocument version_one;
  version_one.version = "1.0";
  version_one.secure_channel_state = "wireserverandimds";
  publisher.apply(version_one);
  EXPECT_EQ(held(Service::kImds), nullptr);
}

TEST_F(PublisherTest, OldSnapshotsStayAsTheyWere) {
  publisher.apply(document(item("r1")));
  const auto old = publisher.current();
  publisher.apply(document(item("r2")));
  EXPECT_EQ(old->of(Service::kImds)->id(), "r1-useLocalFileRules-false");
  EXPECT_LT(old->generation, publisher.current()->generation);
}

TEST_F(PublisherTest, DenyAllHoldsUntilTheNextGoodAnswer) {
  publisher.apply(document(item("r1", "enforce", "allow")));
  publisher.deny_all("rules.json: line 3: no");
  EXPECT_EQ(publisher.report(Service::kImds).unusable, "rules.json: line 3: no");
  EXPECT_EQ(publisher.report(Service::kHostGaPlugin).unusable, "rules.json: line 3: no");
  publisher.apply(document(item("r1", "enforce", "allow")));
  EXPECT_EQ(publisher.report(Service::kImds).unusable, "");
  EXPECT_EQ(held(Service::kWireServer), nullptr);
}

constexpr const char* kSwitchedOn = "eyJpZCI6InNpZy03IiwidXNlTG9jYWxGaWxlUnVsZXMiOnRydWV9";

TEST_F(PublisherTest, LocalFilesAreReadOnlyWhereTheIdSaysSo) {
  publisher.apply(document(item("r1"), item("w1")));
  EXPECT_EQ(local.loads, 0);
  publisher.apply(document(item(kSwitchedOn), item("w1")));
  EXPECT_EQ(local.loads, 1);
  EXPECT_EQ(held(Service::kImds)->id(), "sig-7-useLocalFileRules-true");
}

TEST_F(PublisherTest, ALocalFileThatChangesOrFailsIsFollowedAtTheNextPoll) {
  const auto poll = [this] { publisher.apply(document(item(kSwitchedOn, "enforce", "allow"))); };
  poll();
  EXPECT_TRUE(held(Service::kImds)->default_allow());
  local.rules.state = LocalRules::State::kValid;
  local.rules.file.id = "loc";
  poll();
  EXPECT_EQ(held(Service::kImds)->id(), "sig-7-useLocalFileRules-true_loc");
  local.rules = {.state = LocalRules::State::kFailed, .failure = "group-writable"};
  poll();
  EXPECT_FALSE(held(Service::kImds)->default_allow());
  EXPECT_EQ(publisher.report(Service::kImds).local_failure, "group-writable");
  poll();
  EXPECT_EQ(published.size(), 3U);
  local.rules = {};
  poll();
  EXPECT_TRUE(held(Service::kImds)->default_allow());
  EXPECT_EQ(publisher.report(Service::kImds).local_failure, "");
}

TEST_F(PublisherTest, UnknownModesFollowTheMatchingMode) {
  publisher.apply(document(item("r1", "strict")));
  EXPECT_EQ(held(Service::kImds)->mode(), policy::Mode::kEnforce);
  EXPECT_EQ(publisher.report(Service::kImds).notes, 1U);
  Publisher off(Matching::kOff, local, nullptr);
  off.apply(document(item("r1", "strict")));
  EXPECT_EQ(off.current()->of(Service::kImds)->mode(), policy::Mode::kDisabled);
}

TEST_F(PublisherTest, SaysWhereTheRulesComeFrom) {
  const auto origin = [&](Service service) { return to_string(publisher.report(service).origin); };
  EXPECT_EQ(origin(Service::kImds), "none");
  const std::string local_on = "eyJpZCI6InNpZy03IiwidXNlTG9jYWxGaWxlUnVsZXMiOnRydWV9";
  publisher.apply(document(item("r1"), item(local_on)));
  EXPECT_EQ(origin(Service::kImds), "host");
  EXPECT_EQ(origin(Service::kWireServer), "host") << "there is no file";
  local.rules.state = LocalRules::State::kValid;
  publisher.apply(document(item("r1"), item(local_on)));
  EXPECT_EQ(origin(Service::kWireServer), "host_and_local_file");
  EXPECT_EQ(origin(Service::kHostGaPlugin), "host");
  local.rules = {.state = LocalRules::State::kFailed, .failure = "no JSON"};
  publisher.apply(document(item("r1"), item(local_on)));
  EXPECT_EQ(origin(Service::kWireServer), "local_file_failed");
  publisher.deny_all("why");
  EXPECT_EQ(origin(Service::kImds), "denied");
}

}  // namespace
}  // namespace msp::rules
