// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint_askers.h"

#include <optional>
#include <unordered_set>

#include "authoring/rule_callers.h"

namespace msp::authoring {
namespace {

/// Of those who are denied a privilege, so many are tried.
constexpr std::size_t kMostDenied = 4;

/// A name that no rule has: a caller without any would be whom every deny of a user is about.
std::string unnamed_user(const WholeRules& rules) {
  std::unordered_set<std::string_view> names;
  for (const RuleIdentity& identity : rules.identities) {
    if (identity.user_name) {
      names.insert(*identity.user_name);
    }
  }
  std::string out = "somebody";
  while (names.contains(out)) {
    out += '-';
  }
  return out;
}

/// What no user is called (protocol.md L.32).
constexpr std::string_view kNoName = "undefined";

}  // namespace

Askers::Askers(const WholeRules& rules, const RuleIndex& index, const std::vector<PrivilegeForms>& forms,
               bool root_only)
    : rules_(rules), index_(index), forms_(forms), denied_(rules.privileges.size()) {
  stranger_.user = root_only ? "root" : unnamed_user(rules);
  for (std::uint32_t i = 0; i < rules.role_assignments.size(); ++i) {
    const AssignmentExtension& effect = rules.role_assignments[i].openmsp;
    const std::uint32_t role = index.role_of_assignment(i);
    if (!effect.deny || effect.dry_run || role == RuleIndex::kNone) {
      continue;
    }
    for (const std::uint32_t privilege : index.privileges_of(role)) {
      for (const std::uint32_t identity : index.callers_of_assignment(i)) {
        if (denied_[privilege].size() < kMostDenied) {
          denied_[privilege].push_back(identity);
        }
      }
    }
  }
  for (const std::uint32_t i : index.privileges()) {
    const Indexes granted = index.granted(i);
    const std::optional<Form>& form = forms[i].canonical;
    if (form && !granted.empty()) {
      granted_at_.try_emplace(form->path, granted.front());
    }
  }
}

Asker Askers::asker(Asker::Standing standing, Caller caller) const {
  std::string shown = standing == Asker::Standing::kStranger ? describe(Caller()) : describe(caller);
  if (standing == Asker::Standing::kDenied && caller.user == kNoName) {
    caller.user.clear();  // whom a deny of such a name is about: policy::may_be
    shown = "a user without name";
  } else if (caller.user.empty()) {
    caller.user = stranger_.user;  // nothing is unknown of the others
  }
  return {.standing = standing, .shown = std::move(shown), .who = make_caller(caller)};
}

/// Also as somebody who is granted the same, or what lies above it: else nothing passes that a deny could stop.
void Askers::add_denied(std::uint32_t privilege, std::vector<Asker>& out) const {
  for (const std::uint32_t i : denied_[privilege]) {
    const Caller denied = caller_of(rules_.identities[i]);
    out.push_back(asker(Asker::Standing::kDenied, denied));
    const std::optional<Form>& form = forms_[privilege].canonical;
    if (!form) {
      continue;
    }
    std::string_view path = form->path;
    while (true) {
      if (const auto found = granted_at_.find(path); found != granted_at_.end()) {
        if (auto caller = both(denied, caller_of(rules_.identities[found->second]))) {
          out.push_back(asker(Asker::Standing::kDenied, *std::move(caller)));
        }
      }
      if (path.size() <= 1) {
        break;
      }
      const std::size_t slash = path.rfind('/');
      path = slash == 0 ? std::string_view("/") : path.substr(0, slash);
    }
  }
}

std::vector<Asker> Askers::of(std::uint32_t privilege) const {
  std::vector<Asker> out;
  if (const Indexes granted = index_.granted(privilege); !granted.empty()) {
    out.push_back(asker(Asker::Standing::kGranted, caller_of(rules_.identities[granted.front()])));
  }
  add_denied(privilege, out);
  out.push_back(asker(Asker::Standing::kStranger, stranger_));
  return out;
}

}  // namespace msp::authoring
