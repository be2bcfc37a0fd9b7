// SPDX-License-Identifier: Apache-2.0
#include "policy/identity_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "policy/identity_match.h"
#include "policy/ruleset.h"

namespace msp::policy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::shared_ptr<const PlaceRule> in_unit(std::string unit) {
  return std::make_shared<const PlaceRule>(PlaceRule{.unit = std::move(unit), .cgroup = {}, .container = {}});
}

/// A thousand of each kind, then one that asks for nothing.
std::vector<IdentityRule> crowd() {
  std::vector<IdentityRule> all;
  for (int i = 0; i < 1000; ++i) {
    const std::string n = std::to_string(i);
    all.push_back({.name = {}, .user = "u" + n, .group = "g" + n, .process = "p" + n, .exe = {}});
    all.push_back({.name = {}, .user = {}, .group = "g" + n, .process = "p" + n, .exe = {}});
    all.push_back({.name = {}, .user = {}, .group = "g" + n, .process = {}, .exe = {}});
    all.push_back({.name = {}, .user = {}, .group = {}, .process = {}, .exe = {}, .place = in_unit(n + ".service")});
  }
  all.push_back({.name = {}, .user = {}, .group = {}, .process = {}, .exe = {}});
  return all;
}

std::set<std::uint32_t> candidates(const std::vector<IdentityRule>& all, const identity::ConnectionIdentity& caller) {
  const IdentityIndex index(all);
  std::set<std::uint32_t> out;
  index.each_candidate(caller, [&](std::uint32_t found) { out.insert(found); });
  return out;
}

std::set<std::uint32_t> candidates(const identity::ConnectionIdentity& caller) {
  const std::vector<IdentityRule> all = crowd();
  return candidates(all, caller);
}

TEST(IdentityIndex, WhoIsNobodyInParticularFindsOnlyWhatAsksForNothing) {
  EXPECT_THAT(candidates({}), ElementsAre(4000));
}

TEST(IdentityIndex, EachFieldFindsItsOwn) {
  identity::ConnectionIdentity caller;
  caller.user_name = "u3";
  EXPECT_THAT(candidates(caller), ElementsAre(12, 4000));
  caller.process_name = "p5";
  EXPECT_THAT(candidates(caller), ElementsAre(12, 21, 4000));
  caller.group_names = {"g7", "x", "g9"};
  EXPECT_THAT(candidates(caller), ElementsAre(12, 21, 30, 38, 4000));
  caller.cgroup = std::make_shared<const identity::CgroupPlace>(identity::place_in("/system.slice/11.service"));
  EXPECT_THAT(candidates(caller), ElementsAre(12, 21, 30, 38, 47, 4000));
}

TEST(IdentityIndex, EachStandsUnderWhatTellsItBest) {
  std::vector<IdentityRule> all;
  for (int i = 0; i < 1000; ++i) {
    const std::string n = std::to_string(i);
    all.push_back({.name = {}, .user = "svc", .group = {}, .process = {}, .exe = "/opt//app" + n + "/./bin/x"});
  }
  identity::ConnectionIdentity caller;
  caller.user_name = "svc";
  EXPECT_THAT(candidates(all, caller), IsEmpty());
  caller.exe_rule_paths = {"/opt/app7/bin/x", "/opt/app9/bin/x/"};
  EXPECT_THAT(candidates(all, caller), ElementsAre(7, 9));
}

TEST(IdentityIndex, OfAGridTheOneWithBothFields) {
  std::vector<IdentityRule> all;
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < 100; ++j) {
      all.push_back(
          {.name = {}, .user = "u" + std::to_string(i), .group = {}, .process = "p" + std::to_string(j), .exe = {}});
    }
  }
  identity::ConnectionIdentity caller;
  caller.user_name = "u3";
  caller.process_name = "p5";
  EXPECT_THAT(candidates(all, caller), ElementsAre(305));
  caller.process_name = "other";
  EXPECT_THAT(candidates(all, caller), IsEmpty());
}

TEST(IdentityIndex, ThoseAlikeInOneFieldAreToldApartByAnother) {
  std::vector<IdentityRule> all(
      1000, {.name = {}, .user = "u", .group = {}, .process = {}, .exe = {}, .place = in_unit("a.service")});
  identity::ConnectionIdentity caller;
  caller.user_name = "u";
  EXPECT_THAT(candidates(all, caller), IsEmpty());
  caller.cgroup = std::make_shared<const identity::CgroupPlace>(identity::place_in("/system.slice/a.service"));
  EXPECT_THAT(candidates(all, caller), SizeIs(1000));
}

TEST(IdentityIndex, WhatIsNotKnownOfACallerIsNotAskedFor) {
  const std::vector<IdentityRule> all = crowd();
  std::vector<std::uint32_t> which(all.size());
  std::iota(which.begin(), which.end(), 0U);
  const IdentityIndex index(all, which, kUnknownUser | kUnknownGroups);
  identity::ConnectionIdentity caller;
  caller.process_name = "p5";
  std::set<std::uint32_t> found;
  index.each_candidate(caller, [&](std::uint32_t i) { found.insert(i); });
  EXPECT_TRUE(found.contains(20) && found.contains(21) && found.contains(4000));
  EXPECT_FALSE(found.contains(24) || found.contains(25));  // p6
  EXPECT_FALSE(IdentityIndex::asks_only_for(all[20], kUnknownUser | kUnknownGroups));
  EXPECT_TRUE(IdentityIndex::asks_only_for(all[22], kUnknownUser | kUnknownGroups));  // a group
  EXPECT_FALSE(IdentityIndex::asks_only_for(all[22], kUnknownUser));
  EXPECT_FALSE(IdentityIndex::asks_only_for(all[23], kUnknownUser | kUnknownGroups));  // a unit
  EXPECT_TRUE(IdentityIndex::asks_only_for(all[23], kUnknownPlace));
  EXPECT_TRUE(IdentityIndex::asks_only_for(all[4000], kUnknownUser));
}

TEST(IdentityIndex, PlacesAreFoundFromBelowAndContainersByAllTheirDigits) {
  std::vector<IdentityRule> all;
  const auto in = [&](PlaceRule place) {
    all.push_back({.name = {},
                   .user = {},
                   .group = {},
                   .process = {},
                   .exe = {},
                   .place = std::make_shared<const PlaceRule>(std::move(place))});
  };
  in({.unit = {}, .cgroup = "/", .container = {}});
  in({.unit = {}, .cgroup = "/a", .container = {}});
  in({.unit = {}, .cgroup = "/a/b", .container = {}});
  in({.unit = {}, .cgroup = "/a/bc", .container = {}});
  const std::string id(64, 'a');
  in({.unit = {}, .cgroup = {}, .container = id.substr(0, 12)});
  in({.unit = {}, .cgroup = {}, .container = id});
  in({.unit = {}, .cgroup = {}, .container = "b" + id.substr(0, 11)});
  identity::ConnectionIdentity caller;
  caller.cgroup = std::make_shared<const identity::CgroupPlace>(
      identity::CgroupPlace{.path = "/a/b/docker-" + id + ".scope", .unit = {}, .container = id});
  EXPECT_THAT(candidates(all, caller), ElementsAre(0, 1, 2, 4, 5));
  caller.cgroup =
      std::make_shared<const identity::CgroupPlace>(identity::CgroupPlace{.path = "/", .unit = {}, .container = {}});
  EXPECT_THAT(candidates(all, caller), ElementsAre(0));
}

// Where rules ask for nothing of a kind, it is not looked up.
TEST(IdentityIndex, EachKindIsFoundWhereRulesAskForNothingElse) {
  const identity::CgroupPlace place{.path = "/s/c7", .unit = "u7.service", .container = std::string(64, '7')};
  identity::ConnectionIdentity caller;
  caller.user_name = "7";
  caller.process_name = "7";
  caller.group_names = {"other", "7"};
  caller.exe_rule_paths = {"/7"};
  caller.cgroup = std::make_shared<const identity::CgroupPlace>(place);
  const auto only = [](int i, std::string_view kind) {
    const std::string n = std::to_string(i);
    IdentityRule rule{.name = {}, .user = {}, .group = {}, .process = {}, .exe = {}};
    PlaceRule in{.unit = {}, .cgroup = {}, .container = {}};
    if (kind == "user") {
      rule.user = n;
    } else if (kind == "group") {
      rule.group = n;
    } else if (kind == "process") {
      rule.process = n;
    } else if (kind == "exe") {
      rule.exe = "/" + n;
    } else if (kind == "unit") {
      in.unit = "u" + n + ".service";
    } else if (kind == "cgroup") {
      in.cgroup = "/s/c" + n;
    } else {
      in.container = std::string(12, static_cast<char>('0' + i % 10)) + (i < 10 ? "" : "f");
    }
    if (in.unit || in.cgroup || in.container) {
      rule.place = std::make_shared<const PlaceRule>(std::move(in));
    }
    return rule;
  };
  for (const std::string_view kind : {"user", "group", "process", "exe", "unit", "cgroup", "container"}) {
    std::vector<IdentityRule> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(only(i, kind));
    }
    EXPECT_THAT(candidates(all, caller), ElementsAre(7)) << kind;
    // The same where all ask for it, and something else tells them from each other.
    for (int i = 0; i < 20; ++i) {
      all[static_cast<std::size_t>(i)] = only(7, kind);
      (kind == "process" ? all[static_cast<std::size_t>(i)].user : all[static_cast<std::size_t>(i)].process) =
          std::to_string(i);
    }
    EXPECT_THAT(candidates(all, caller), ElementsAre(7)) << kind;
  }
}

// Most of the digits that rules name are alike.
TEST(IdentityIndex, OfContainersThatBeginAlikeTheOneOfAllTheDigitsThatAreNamed) {
  std::vector<IdentityRule> all;
  const auto in = [&](std::string container) {
    all.push_back({.name = {},
                   .user = {},
                   .group = {},
                   .process = {},
                   .exe = {},
                   .place = std::make_shared<const PlaceRule>(
                       PlaceRule{.unit = {}, .cgroup = {}, .container = std::move(container)})});
  };
  const std::string same(20, 'a');
  for (int i = 100; i < 1000; ++i) {
    in(same + std::to_string(i));
  }
  in(same);
  identity::ConnectionIdentity caller;
  caller.cgroup = std::make_shared<const identity::CgroupPlace>(
      identity::CgroupPlace{.path = "/", .unit = {}, .container = same + "107" + std::string(41, 'b')});
  EXPECT_THAT(candidates(all, caller), ElementsAre(7, 900));
}

}  // namespace
}  // namespace msp::policy
