// SPDX-License-Identifier: Apache-2.0
// Random rules over a few values, so that names, paths and callers collide often.
// Values; tests only.
// Nothing fails; one seed gives one set.
#pragma once

#include <array>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "base/rules_document.h"

namespace msp::test {

using Random = std::mt19937;

inline int below(Random& random, int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random); }

template <std::size_t N>
std::string one_of(Random& random, const std::array<const char*, N>& choices) {
  return choices[static_cast<std::size_t>(below(random, N))];
}

inline std::optional<std::string> maybe(std::string text) { return text.empty() ? std::nullopt : std::optional(text); }

// Few values, so that everything collides.
inline constexpr std::array kPaths{"/a", "/a/", "/a/b", "/A/b", "/ab", "/", "/a/b/c", "/a%20b", "a", "/a;m/b"};
inline constexpr std::array kUsers{"", "", "root", "u1", "u2"};
inline constexpr std::array kGroups{"", "", "", "g1", "g2"};
inline constexpr std::array kExes{"", "", "", "/x/e", "/y/e", "/x/f"};
inline constexpr std::array kProcesses{"", "", "", "e", "f"};
inline constexpr std::array kUnits{"", "", "", "a.service", "b.service"};

inline void random_query(Random& random, RulePrivilege& privilege) {
  privilege.query_parameters.clear();
  switch (below(random, 6)) {
    case 0:
      privilege.query_parameters = {{"k", "v"}};
      break;
    case 1:
      privilege.query_parameters = {{"K", "w"}};
      break;
    case 2:
      privilege.query_parameters = {{"k", "v"}, {"j", "1"}};
      break;
    case 3:
      privilege.query_parameters = {{"k", "v&k=w"}};
      break;
    default:
      break;
  }
}

inline RuleIdentity random_identity(Random& random, std::string name) {
  RuleIdentity out;
  out.name = std::move(name);
  out.user_name = maybe(one_of(random, kUsers));
  out.group_name = maybe(one_of(random, kGroups));
  out.exe_path = maybe(one_of(random, kExes));
  out.process_name = maybe(one_of(random, kProcesses));
  out.openmsp.unit = maybe(one_of(random, kUnits));
  return out;
}

inline std::string pick(Random& random, std::string prefix, int bound) {
  return prefix + std::to_string(below(random, bound));
}

inline RuleAssignment random_assignment(Random& random) {
  RuleAssignment out{.role = pick(random, "r", 3), .identities = {pick(random, "i", 4), pick(random, "i", 4)}};
  out.openmsp.deny = below(random, 5) == 0;
  return out;
}

inline RuleItem random_item(Random& random) {
  RuleItem out{.default_access = below(random, 3) == 0 ? "allow" : "deny", .mode = "enforce", .id = "r", .rules = {}};
  RuleSections& rules = out.rules.emplace();
  rules.privileges.emplace();
  rules.roles.emplace();
  rules.identities.emplace();
  rules.role_assignments.emplace();
  for (int i = 0; i < 4; ++i) {
    RulePrivilege privilege{.name = "p" + std::to_string(i), .path = one_of(random, kPaths), .query_parameters = {}};
    random_query(random, privilege);
    if (below(random, 5) == 0) {
      privilege.openmsp.methods = {"POST"};
    }
    rules.privileges->push_back(std::move(privilege));
    rules.identities->push_back(random_identity(random, "i" + std::to_string(i)));
  }
  for (int i = 0; i < 3; ++i) {
    rules.roles->push_back(
        {.name = "r" + std::to_string(i), .privileges = {pick(random, "p", 4), pick(random, "p", 4)}});
    rules.role_assignments->push_back(random_assignment(random));
  }
  return out;
}

}  // namespace msp::test
