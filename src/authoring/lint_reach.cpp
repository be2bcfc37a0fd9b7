// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <unordered_map>

#include "authoring/lint_callers.h"
#include "authoring/lint_checks.h"
#include "authoring/lint_cover.h"
#include "authoring/rule_callers.h"
#include "authoring/rule_index.h"

namespace msp::authoring {
namespace {

/// Larger roles are not compared identity by identity.
constexpr std::size_t kMostCompared = 2000;

class Reach {
 public:
  Reach(const Linted& linted, const WholeRules& rules, Findings& findings)
      : linted_(linted), rules_(rules), index_(rules), cover_(rules_, index_), findings_(findings) {}

  void privileges() {
    for (const std::uint32_t i : index_.privileges()) {
      if (!cover_.forms(i).canonical || !cover_.forms(i).legacy || has_special(i)) {
        continue;
      }
      if (const std::uint32_t other = earlier_twin(i); other != RuleIndex::kNone) {
        report(i, other, "duplicate-privilege", "\"{}\" asks for the same path and query as \"{}\"",
               "keep one, and put it into the roles of both");
      } else if (const std::uint32_t broad = broader(i); broad != RuleIndex::kNone) {
        report(i, broad, "shadowed-privilege",
               "\"{}\" never decides anything: \"{}\" is broader and has at least the same identities",
               "remove one of the two: the narrow one if the broad one is meant");
      }
    }
  }

  void assignments() {
    for (std::uint32_t i = 0; i < rules_.role_assignments.size(); ++i) {
      const std::uint32_t role = index_.role_of_assignment(i);
      if (role == RuleIndex::kNone) {
        continue;  // a dangling role has been reported
      }
      const std::string why = why_unreachable(i, role);
      if (!why.empty()) {
        findings_.warning(
            "unreachable-assignment", linted_.at("roleAssignments", i),
            fmt::format("the assignment of \"{}\" {}: {}", rules_.roles[role].name,
                        rules_.role_assignments[i].openmsp.deny ? "denies nobody" : "grants nothing", why),
            "mend it, or remove it");
      } else if (!is_special(i) && is_redundant(i, role)) {
        findings_.warning("redundant-assignment", linted_.at("roleAssignments", i),
                          fmt::format("the assignment of \"{}\" grants nothing new: all its identities have these "
                                      "privileges by another assignment",
                                      rules_.roles[role].name),
                          "remove one of them");
      }
    }
  }

 private:
  bool has_special(std::uint32_t privilege) const {
    return std::ranges::any_of(index_.roles_of(privilege),
                               [&](std::uint32_t role) { return index_.has_special(role); });
  }

  bool is_special(std::uint32_t assignment) const {
    const AssignmentExtension& effect = rules_.role_assignments[assignment].openmsp;
    return effect.deny || effect.dry_run;
  }

  void report(std::uint32_t i, std::uint32_t other, std::string_view code, std::string_view text,
              std::string_view remedy) {
    findings_.warning(code, linted_.at("privileges", i),
                      fmt::format(fmt::runtime(text), rules_.privileges[i].name, rules_.privileges[other].name),
                      std::string(remedy));
  }

  std::uint32_t earlier_twin(std::uint32_t i) const {
    return cover_.first(i, [&](std::uint32_t other) {
      return other < i && cover_.asks_no_more(other, i) && cover_.asks_no_more(i, other);
    });
  }

  std::uint32_t broader(std::uint32_t i) const {
    return cover_.first(i, [&](std::uint32_t other) {
      return other != i && !has_special(other) && cover_.asks_no_more(other, i) && !cover_.asks_no_more(i, other) &&
             grants_at_least(other, i);
    });
  }

  /// With no identity a privilege denies, and so does its broader one if it has none for the caller.
  bool grants_at_least(std::uint32_t broad, std::uint32_t narrow) const {
    if (std::ranges::includes(index_.roles_of(broad), index_.roles_of(narrow))) {
      return true;
    }
    const Indexes has = index_.granted(broad);
    const Indexes needs = index_.granted(narrow);
    if (has.size() * needs.size() > kMostCompared * kMostCompared) {
      return std::ranges::includes(has, needs);
    }
    return std::ranges::all_of(needs, [&](std::uint32_t need) {
      return std::ranges::any_of(
          has, [&](std::uint32_t one) { return covers(rules_.identities[one], rules_.identities[need]); });
    });
  }

  std::string why_unreachable(std::uint32_t assignment, std::uint32_t role) const {
    const Indexes& privileges = index_.privileges_of(role);
    const Indexes& callers = index_.callers_of_assignment(assignment);
    if (privileges.empty()) {
      return "its role holds no privilege that exists";
    }
    if (callers.empty()) {
      return "none of its identities exists";
    }
    // A deny of a name that nobody has is about everybody without one: far from having no effect.
    const auto why_none = rules_.role_assignments[assignment].openmsp.deny ? why_denies_nobody : why_nobody;
    if (std::ranges::all_of(callers, [&](std::uint32_t i) { return !why_none(rules_.identities[i]).empty(); })) {
      return "no process can be any of its identities";
    }
    if (std::ranges::all_of(privileges,
                            [&](std::uint32_t i) { return !cover_.forms(i).legacy && !cover_.forms(i).canonical; })) {
      return "no request can meet any of its privileges";
    }
    return {};
  }

  bool is_redundant(std::uint32_t assignment, std::uint32_t role) const {
    const Indexes& own = index_.privileges_of(role);
    return std::ranges::all_of(index_.callers_of_assignment(assignment), [&](std::uint32_t caller) {
      const bool twice = assigned_before(assignment, role, caller);
      return twice || std::ranges::any_of(index_.roles_of_caller(caller), [&](std::uint32_t other) {
               const Indexes& more = index_.privileges_of(other);
               // Of two equal roles only the later one is one too many.
               return other != role && std::ranges::includes(more, own) && (more.size() > own.size() || other < role);
             });
    });
  }

  bool assigned_before(std::uint32_t assignment, std::uint32_t role, std::uint32_t caller) const {
    const auto first = first_assigned_.find(pair_of(role, caller));
    return first != first_assigned_.end() && first->second < assignment;
  }

  static std::uint64_t pair_of(std::uint32_t role, std::uint32_t caller) { return std::uint64_t{role} << 32 | caller; }

  std::unordered_map<std::uint64_t, std::uint32_t> first_assignments() const {
    std::unordered_map<std::uint64_t, std::uint32_t> out;
    for (std::uint32_t i = 0; i < rules_.role_assignments.size(); ++i) {
      if (!is_special(i)) {
        for (const std::uint32_t caller : index_.callers_of_assignment(i)) {
          out.try_emplace(pair_of(index_.role_of_assignment(i), caller), i);
        }
      }
    }
    return out;
  }

  const Linted& linted_;
  WholeRules rules_;
  RuleIndex index_;
  Cover cover_;
  std::unordered_map<std::uint64_t, std::uint32_t> first_assigned_ = first_assignments();  ///< by role and caller
  Findings& findings_;
};

}  // namespace

void check_reach(const Linted& linted, Findings& findings) {
  if (const std::optional<WholeRules> rules = whole_rules(linted.item)) {
    Reach reach(linted, *rules, findings);
    reach.privileges();
    reach.assignments();
  }
}

}  // namespace msp::authoring
