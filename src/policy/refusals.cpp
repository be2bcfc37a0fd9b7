// SPDX-License-Identifier: Apache-2.0
// RuleSet::refusals(): what is wrong with our own fields beyond their shape. A deny that would be lost in silence is a
// hole, so the references of denies are strict where the field skips what it does not find.
#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/utf8.h"
#include "policy/ruleset.h"
#include "request/fault.h"

namespace msp::policy {
namespace {

using Lines = std::vector<std::string>;

/// The first of them; more are counted, and not even made: there may be one for each pair of two long lists.
class Refusals {
 public:
  explicit Refusals(Lines problems) : lines_(std::move(problems)) {
    if (lines_.size() > RuleSet::kMaxRefusals) {
      more_ = lines_.size() - RuleSet::kMaxRefusals;
      lines_.resize(RuleSet::kMaxRefusals);
    }
  }

  void add(std::string line) {
    if (room() > 0) {
      lines_.push_back(std::move(line));
    } else {
      ++more_;
    }
  }
  /// "/rules/<section>/<index>: <text>".
  void add(std::string_view section, std::size_t index, std::string_view text) {
    if (room() > 0) {
      add("/rules/" + std::string(section) + "/" + std::to_string(index) + ": " + std::string(text));
    } else {
      ++more_;
    }
  }
  void add_more(std::size_t count) { more_ += count; }
  std::size_t room() const { return RuleSet::kMaxRefusals - lines_.size(); }

  Lines take() && {
    if (more_ > 0) {
      lines_.push_back("and " + std::to_string(more_) + " more");
    }
    return std::move(lines_);
  }

 private:
  Lines lines_;
  std::size_t more_ = 0;
};

/// Of a long text the beginning: there may be a hundred of them.
std::string quoted(std::string_view text) {
  constexpr std::size_t kMost = 200;
  std::string out;
  json::append_json_string(out, utf8_truncate(text, kMost));
  return text.size() > kMost ? out + "…" : out;
}

template <class T>
std::unordered_map<std::string_view, const T*> by_name(const std::vector<T>& items) {
  std::unordered_map<std::string_view, const T*> out;
  for (const T& item : items) {
    out[item.name] = &item;
  }
  return out;
}

/// The agent passes a set on from one process to another, in one piece with those of the other services.
void check_size(const RuleItem& item, Refusals& out) {
  if (const std::size_t size = written_size(item); size > RuleSet::kMaxBytes) {
    out.add("/rules: the set is too large: " + std::to_string(size >> 20) + " MiB as JSON, where " +
            std::to_string(RuleSet::kMaxBytes >> 20) + " are taken; shorten names, or join rules that say the same");
  }
}

void check_hashes(const RuleSections& rules, Refusals& out) {
  for (std::size_t i = 0; rules.identities && i < rules.identities->size(); ++i) {
    const RuleIdentity& identity = (*rules.identities)[i];
    if (identity.openmsp.exe_sha256) {
      out.add("identities", i,
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

/// What is wrong with a role that is denied: looked at once, however many assignments deny it.
struct DeniedRole {
  Lines wrong;  ///< the first of them
  std::size_t more = 0;
};

class DenyCheck {
 public:
  DenyCheck(const std::vector<RulePrivilege>& privileges, const std::vector<RuleRole>& roles,
            const std::vector<RuleIdentity>& identities, Matching matching, Refusals& out)
      : privileges_(by_name(privileges)),
        roles_(by_name(roles)),
        identities_(by_name(identities)),
        matching_(matching),
        out_(out) {}

  void run(const std::vector<RuleAssignment>& assignments) {
    for (std::size_t i = 0; i < assignments.size(); ++i) {
      const RuleAssignment& assignment = assignments[i];
      if (!assignment.openmsp.deny) {
        continue;
      }
      for (const std::string& name : assignment.identities) {
        if (!identities_.contains(name)) {
          out_.add("roleAssignments", i, "the deny names " + missing("identity", name));
        }
      }
      const auto role = roles_.find(assignment.role);
      if (role == roles_.end()) {
        out_.add("roleAssignments", i, "the deny names " + missing("role", assignment.role));
        continue;
      }
      const DeniedRole& denied = look_at(*role->second);
      const std::size_t told = std::min(denied.wrong.size(), out_.room());
      for (std::size_t k = 0; k < told; ++k) {
        out_.add("roleAssignments", i, "the deny names " + denied.wrong[k]);
      }
      out_.add_more(denied.wrong.size() - told + denied.more);
    }
  }

 private:
  static std::string missing(std::string_view kind, std::string_view name) {
    return "the " + std::string(kind) + " " + quoted(name) +
           ", which does not exist, so that it would be lost; correct the name or remove it";
  }

  const DeniedRole& look_at(const RuleRole& role) {
    const auto [known, fresh] = looked_at_.try_emplace(&role);
    DeniedRole& out = known->second;
    for (std::size_t i = 0; fresh && i < role.privileges.size(); ++i) {
      const std::string& name = role.privileges[i];
      const auto privilege = privileges_.find(name);
      std::string why = privilege == privileges_.end() ? missing("privilege", name) : fault_of(*privilege->second);
      if (why.empty()) {
        continue;
      }
      if (out.wrong.size() < RuleSet::kMaxRefusals) {
        out.wrong.push_back(std::move(why));
      } else {
        ++out.more;
      }
    }
    return out;
  }

  /// Two roles may hold the same privileges.
  const std::string& fault_of(const RulePrivilege& privilege) {
    const auto [known, fresh] = faults_.try_emplace(&privilege);
    if (fresh) {
      if (const std::string why = unmeetable(privilege, matching_); !why.empty()) {
        known->second = "the privilege " + quoted(privilege.name) + ", " + why;
      }
    }
    return known->second;
  }

  std::unordered_map<std::string_view, const RulePrivilege*> privileges_;
  std::unordered_map<std::string_view, const RuleRole*> roles_;
  std::unordered_map<std::string_view, const RuleIdentity*> identities_;
  Matching matching_;
  Refusals& out_;
  std::unordered_map<const RuleRole*, DeniedRole> looked_at_;
  std::unordered_map<const RulePrivilege*, std::string> faults_;
};

void check_denies(const RuleSections& rules, Matching matching, Refusals& out) {
  if (!rules.role_assignments || std::ranges::none_of(*rules.role_assignments, [](const RuleAssignment& assignment) {
        return assignment.openmsp.deny;
      })) {
    return;
  }
  if (!rules.privileges || !rules.roles || !rules.identities) {
    out.add(
        "/rules: privileges, roles or identities are missing, so that all rules would be ignored, a deny among them; "
        "add the section, empty if need be");
    return;
  }
  DenyCheck(*rules.privileges, *rules.roles, *rules.identities, matching, out).run(*rules.role_assignments);
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
    case LegacyFault::kClimbs:
      return "there is a '//' or a '..' in its path, with which every request is refused before rules are asked";
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
    case LegacyFault::kClimbs:
      return "write the path that is meant, without '//' and '..'";
  }
  return {};
}

Lines RuleSet::refusals(const RuleItem& item, Matching matching) {
  Lines problems = item.problems;
  if (item.rules) {
    problems.insert(problems.end(), item.rules->problems.begin(), item.rules->problems.end());
  }
  Refusals out(std::move(problems));
  check_size(item, out);
  if (item.rules) {
    check_hashes(*item.rules, out);
    check_denies(*item.rules, matching, out);
  }
  return std::move(out).take();
}

}  // namespace msp::policy
