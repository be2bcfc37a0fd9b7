// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <unordered_map>

#include "authoring/lint_checks.h"
#include "authoring/lint_cover.h"
#include "authoring/rule_callers.h"
#include "authoring/rule_index.h"
#include "policy/fold.h"
#include "request/canonical_request.h"

namespace msp::authoring {
namespace {

/// Pairs of identities that are compared; larger rules are looked at in part.
constexpr std::size_t kMostCompared = 4'000'000;

constexpr std::array kMethods{request::Method::kGet,  request::Method::kHead,   request::Method::kPost,
                              request::Method::kPut,  request::Method::kDelete, request::Method::kOptions,
                              request::Method::kPatch};

class Grants {
 public:
  Grants(const Linted& linted, const WholeRules& rules, Findings& findings)
      : linted_(linted), rules_(rules), index_(rules_), cover_(rules_, index_), findings_(findings) {}

  /// An identity beside a broader one in one assignment.
  void covered() {
    for (std::uint32_t i = 0; i < rules_.role_assignments.size(); ++i) {
      // Who covers an identity asks for the same user, or for none.
      std::unordered_map<std::string_view, Indexes> by_user;
      for (const std::uint32_t identity : index_.callers_of_assignment(i)) {
        by_user[user_of(identity)].push_back(identity);
      }
      for (const std::uint32_t identity : index_.callers_of_assignment(i)) {
        const std::string_view user = user_of(identity);
        const bool told = tell_covered(i, identity, by_user[user]);
        if (!told && !user.empty()) {
          tell_covered(i, identity, by_user[std::string_view()]);
        }
      }
    }
  }

  /// What an allow gives an identity and denies take away again, all of it.
  void denied() {
    const std::vector<std::uint32_t> denies = all_denies();
    for (std::uint32_t i = 0; i < rules_.role_assignments.size() && !denies.empty(); ++i) {
      const std::uint32_t role = index_.role_of_assignment(i);
      const AssignmentExtension& effect = rules_.role_assignments[i].openmsp;
      if (effect.deny || effect.dry_run || role == RuleIndex::kNone || index_.privileges_of(role).empty()) {
        continue;
      }
      for (const std::uint32_t identity : index_.callers_of_assignment(i)) {
        if (is_all_denied(index_.privileges_of(role), identity, denies)) {
          findings_.warning("denied-anyway", place(i, identity),
                            fmt::format("this gives \"{}\" nothing: all that \"{}\" holds is denied to it",
                                        rules_.identities[identity].name, rules_.roles[role].name),
                            "take it out here, or mend the deny");
        }
      }
    }
  }

  /// Methods that no privilege names fall to the default, also where that allows.
  void methods() {
    for (const std::uint32_t i : index_.privileges()) {
      if (rules_.privileges[i].openmsp.methods.empty() || !cover_.forms(i).legacy || !cover_.forms(i).canonical) {
        continue;
      }
      std::set<std::string_view> open;
      for (const request::Method method : kMethods) {
        open.insert(request::to_string(method));
      }
      cover_.first(i, [&](std::uint32_t other) {
        if (cover_.matches_along(other, i)) {
          const std::vector<std::string>& named = rules_.privileges[other].openmsp.methods;
          std::erase_if(open, [&](std::string_view method) {
            return named.empty() || std::ranges::find(named, method) != named.end();
          });
        }
        return open.empty();
      });
      if (!open.empty()) {
        findings_.warning("other-methods-open", linted_.at("privileges", i) + "/openmsp/methods",
                          fmt::format("defaultAccess allows every caller what no privilege names: {} on what \"{}\" is "
                                      "about",
                                      fmt::join(open, ", "), rules_.privileges[i].name),
                          "leave the methods out, name the others in a privilege too, or write defaultAccess deny");
      }
    }
  }

 private:
  std::string_view user_of(std::uint32_t identity) const {
    const std::optional<std::string>& user = rules_.identities[identity].user_name;
    return user ? std::string_view(*user) : std::string_view();
  }

  /// Where an assignment names it.
  std::string place(std::uint32_t assignment, std::uint32_t identity) const {
    const std::vector<std::string>& names = rules_.role_assignments[assignment].identities;
    const auto found = std::ranges::find(names, rules_.identities[identity].name);
    return fmt::format("{}/identities/{}", linted_.at("roleAssignments", assignment), found - names.begin());
  }

  bool tell_covered(std::uint32_t assignment, std::uint32_t identity, const Indexes& others) {
    const RuleIdentity& narrow = rules_.identities[identity];
    for (const std::uint32_t other : others) {
      if (other == identity || ++compared_ > kMostCompared) {
        continue;
      }
      const RuleIdentity& broad = rules_.identities[other];
      // Of two equal ones the later is one too many.
      if (covers(broad, narrow) && (other < identity || !covers(narrow, broad))) {
        findings_.warning("covered-identity", place(assignment, identity),
                          fmt::format("whoever is \"{}\" is \"{}\" as well, which stands in the same assignment",
                                      narrow.name, broad.name),
                          "remove one of the two: the narrow one if the broad one is meant");
        return true;
      }
    }
    return false;
  }

  std::vector<std::uint32_t> all_denies() const {
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 0; i < rules_.role_assignments.size(); ++i) {
      const AssignmentExtension& effect = rules_.role_assignments[i].openmsp;
      if (effect.deny && !effect.dry_run && index_.role_of_assignment(i) != RuleIndex::kNone) {
        out.push_back(i);
      }
    }
    return out;
  }

  bool is_all_denied(const Indexes& privileges, std::uint32_t identity, const std::vector<std::uint32_t>& denies) {
    std::set<std::uint32_t> taken;
    for (const std::uint32_t deny : denies) {
      const bool about = std::ranges::any_of(index_.callers_of_assignment(deny), [&](std::uint32_t other) {
        return ++compared_ <= kMostCompared && covers(rules_.identities[other], rules_.identities[identity]);
      });
      if (about) {
        const Indexes& more = index_.privileges_of(index_.role_of_assignment(deny));
        compared_ += more.size();
        if (compared_ <= kMostCompared) {
          taken.insert(more.begin(), more.end());
        }
      }
    }
    return !taken.empty() && std::ranges::all_of(privileges, [&](std::uint32_t privilege) {
      return cover_.first(privilege, [&](std::uint32_t other) {
        return taken.contains(other) && cover_.asks_no_more(other, privilege);
      }) != RuleIndex::kNone;
    });
  }

  const Linted& linted_;
  WholeRules rules_;
  RuleIndex index_;
  Cover cover_;
  Findings& findings_;
  std::size_t compared_ = 0;
};

}  // namespace

void check_grants(const Linted& linted, Findings& findings) {
  const std::optional<WholeRules> rules = whole_rules(linted.item);
  if (!rules) {
    return;
  }
  Grants grants(linted, *rules, findings);
  grants.covered();
  if (linted.options.target == Target::kField) {
    return;  // that agent knows neither denies nor methods
  }
  grants.denied();
  if (policy::lower(linted.item.default_access) == "allow") {
    grants.methods();
  }
}

}  // namespace msp::authoring
