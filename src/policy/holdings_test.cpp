// SPDX-License-Identifier: Apache-2.0
#include "policy/holdings.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "policy/engine.h"

namespace msp::policy {
namespace {

/// Users u0 and u1 with thirty identities each, which hold any of forty roles of one privilege.
RuleItem crowd(std::mt19937& random) {
  RuleItem item{.default_access = "deny", .mode = "enforce", .id = "r", .rules = RuleSections()};
  item.rules->privileges = {{{.name = "p", .path = "/p", .query_parameters = {}}}};
  item.rules->roles.emplace();
  item.rules->identities.emplace();
  item.rules->role_assignments.emplace();
  for (int i = 0; i < 60; ++i) {
    RuleIdentity& identity = item.rules->identities->emplace_back();
    identity.name = "i" + std::to_string(i);
    identity.user_name = "u" + std::to_string(i % 2);
  }
  for (int role = 0; role < 40; ++role) {
    const std::string name = "r" + std::to_string(role);
    item.rules->roles->push_back({.name = name, .privileges = {"p"}});
    RuleAssignment& assignment = item.rules->role_assignments->emplace_back();
    assignment.role = name;
    for (int i = 0; i < 60; ++i) {
      if (random() % 8 == 0) {
        assignment.identities.push_back("i" + std::to_string(i));
      }
    }
  }
  return item;
}

// The first questions are answered from the identities, later ones from the list of their roles.
TEST(Holdings, EveryQuestionIsAnsweredAlike) {
  std::mt19937 random(20261128);
  for (int round = 0; round < 20; ++round) {
    const auto rules = RuleSet::compile(crowd(random), Matching::kEnforce);
    ASSERT_EQ(rules->unusable(), "");
    identity::ConnectionIdentity caller;
    caller.known = true;
    caller.user_name = "u1";
    Holdings holdings(*rules, caller);
    for (int question = 0; question < 20; ++question) {
      std::vector<std::uint32_t> roles;
      for (std::uint32_t role = 0; role < rules->roles().size(); ++role) {
        if (random() % (1U << (question % 5)) == 0) {
          roles.push_back(role);
        }
      }
      std::map<std::uint32_t, std::uint32_t> wanted;  // role → first identity that is the caller
      for (const std::uint32_t role : roles) {
        for (const std::uint32_t identity : rules->roles()[role].identities) {
          if (rules->identities()[identity].user == "u1") {
            wanted.emplace(role, identity);
          }
        }
      }
      std::map<std::uint32_t, std::uint32_t> found;
      EXPECT_FALSE(holdings.any_grant(Holdings::Fits::kIs, roles, [&](std::size_t place, std::uint32_t identity) {
        found.emplace(roles.at(place), identity);
        return false;
      }));
      EXPECT_EQ(found, wanted) << round << ' ' << question;
      for (const std::uint32_t role : roles) {
        const auto first = holdings.identity_in(Holdings::Fits::kIs, role);
        EXPECT_EQ(first, wanted.contains(role) ? std::optional(wanted[role]) : std::nullopt);
      }
      EXPECT_EQ(holdings.any_grant(Holdings::Fits::kIs, roles, [](auto...) { return true; }), !wanted.empty());
    }
  }
}

}  // namespace
}  // namespace msp::policy
