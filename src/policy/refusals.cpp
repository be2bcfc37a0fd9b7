// SPDX-License-Identifier: Apache-2.0
// RuleSet::refusals(): what is wrong with our own fields beyond their shape. A deny that would be lost in silence is a
// hole, so the references of denies are strict where the field skips what it does not find.
#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "policy/ruleset.h"
#include "request/fault.h"

namespace msp::policy {
namespace {

using Lines = std::vector<std::string>;

/// "/rules/<section>/<index>: <text>".
void add(Lines& out, std::string_view section, std::size_t index, std::string_view text) {
  out.push_back("/rules/" + std::string(section) + "/" + std::to_string(index) + ": " + std::string(text));
}

std::string quoted(std::string_view text) {
  std::string out;
  json::append_json_string(out, text);
  return out;
}

template <class T>
std::unordered_map<std::string_view, const T*> by_name(const std::vector<T>& items) {
  std::unordered_map<std::string_view, const T*> out;
  for (const T& item : items) {
    out[item.name] = &item;
  }
  return out;
}

void check_hashes(const RuleSections& rules, Lines& out) {
  for (std::size_t i = 0; rules.identities && i < rules.identities->size(); ++i) {
    const RuleIdentity& identity = (*rules.identities)[i];
    if (identity.openmsp.exe_sha256) {
      add(out, "identities", i,
          "openmsp.exeSha256 of " + quoted(identity.name) +
              " is not available on this kernel; leave it out and name the executable by exePath");
    }
  }
}

/// Why the matching that decides would never meet the privilege, and what to do; empty: it may.
std::string unmeetable(const RulePrivilege& privilege, Matching matching) {
  if (const request::Fault fault = RuleSet::canonical_fault(privilege); fault != request::Fault::kNone) {
    return "which has no canonical form (" + std::string(request::canon_name(fault)) +
           "), so that no request would ever meet it; mend its path and query (a '%' is written %25)";
  }
  const LegacyFault fault = matching == Matching::kEnforce ? LegacyFault::kNone : RuleSet::legacy_fault(privilege);
  return fault == LegacyFault::kNone
             ? std::string()
             : "which no request would ever meet in legacy matching, which decides: " + std::string(to_string(fault)) +
                   "; " + std::string(remedy(fault));
}

void check_denies(const RuleSections& rules, Matching matching, Lines& out) {
  if (!rules.role_assignments || std::ranges::none_of(*rules.role_assignments, [](const RuleAssignment& assignment) {
        return assignment.openmsp.deny;
      })) {
    return;
  }
  if (!rules.privileges || !rules.roles || !rules.identities) {
    out.emplace_back(
        "/rules: privileges, roles or identities are missing, so that all rules would be ignored, a deny among them; "
        "add the section, empty if need be");
    return;
  }
  const auto privileges = by_name(*rules.privileges);
  const auto roles = by_name(*rules.roles);
  const auto identities = by_name(*rules.identities);
  for (std::size_t i = 0; i < rules.role_assignments->size(); ++i) {
    const RuleAssignment& assignment = (*rules.role_assignments)[i];
    if (!assignment.openmsp.deny) {
      continue;
    }
    const auto missing = [&](std::string_view kind, std::string_view name) {
      add(out, "roleAssignments", i,
          "the deny names the " + std::string(kind) + " " + quoted(name) +
              ", which does not exist, so that it would be lost; correct the name or remove it");
    };
    for (const std::string& name : assignment.identities) {
      if (!identities.contains(name)) {
        missing("identity", name);
      }
    }
    const auto role = roles.find(assignment.role);
    if (role == roles.end()) {
      missing("role", assignment.role);
      continue;
    }
    for (const std::string& name : role->second->privileges) {
      const auto privilege = privileges.find(name);
      if (privilege == privileges.end()) {
        missing("privilege", name);
      } else if (const std::string why = unmeetable(*privilege->second, matching); !why.empty()) {
        add(out, "roleAssignments", i, "the deny names the privilege " + quoted(name) + ", " + why);
      }
    }
  }
}

}  // namespace

std::string_view to_string(LegacyFault fault) {
  switch (fault) {
    case LegacyFault::kNone:
      return {};
    case LegacyFault::kNoSlash:
      return "its path does not begin with '/'";
    case LegacyFault::kEmbedded:
      return "there is a '?' in its path";
    case LegacyFault::kEmptyKey:
      return "a key of its query is empty";
  }
  return {};
}

std::string_view remedy(LegacyFault fault) {
  switch (fault) {
    case LegacyFault::kNone:
      return {};
    case LegacyFault::kNoSlash:
      return "begin it with '/'";
    case LegacyFault::kEmbedded:
      return "ask for a query by queryParameters";
    case LegacyFault::kEmptyKey:
      return "name the key, or remove the pair";
  }
  return {};
}

Lines RuleSet::refusals(const RuleItem& item, Matching matching) {
  Lines out = item.problems;
  if (item.rules) {
    out.insert(out.end(), item.rules->problems.begin(), item.rules->problems.end());
    check_hashes(*item.rules, out);
    check_denies(*item.rules, matching, out);
  }
  if (out.size() > kMaxRefusals) {
    const std::size_t more = out.size() - kMaxRefusals;
    out.resize(kMaxRefusals);
    out.push_back("and " + std::to_string(more) + " more");
  }
  return out;
}

}  // namespace msp::policy
