// SPDX-License-Identifier: Apache-2.0
// All that a rule set's privileges and their holders make together, nearest miss first, one at a time.
// Owned by one tool, one thread; item, caller and request must outlive it. Memory grows with the text of the rules, not
// with privileges times holders: what is equal for all holders, or for all privileges, is found once, and the two are
// put together when somebody asks for the next.
// Nothing fails: rules that name what does not exist grant nothing, as everywhere.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "authoring/reading.h"
#include "identity/connection_identity.h"

namespace msp::authoring {

/// A privilege, and how somebody may have got it. A privilege that nobody has is one rule without role and identity.
struct RuleTrace {
  std::string privilege;
  std::string role;
  std::string identity;
  bool assigned = false;
  bool deny = false;     ///< the assignment denies instead of allowing
  bool dry_run = false;  ///< the assignment is evaluated without effect
  bool privilege_met = false;
  bool identity_met = false;  ///< false where nothing is assigned
  std::vector<Check> checks;  ///< path, query, method, then the fields of the identity
  /// 0: the rule matches. Grows with what is missing, most with the path, least with the identity.
  std::size_t distance = 0;

  bool matches() const { return privilege_met && identity_met; }
};

class RuleWalk {
 public:
  RuleWalk(const RuleItem& item, const identity::ConnectionIdentity& caller, const policy::RequestView& request,
           Matcher matcher);
  RuleWalk(const RuleWalk&) = delete;
  RuleWalk& operator=(const RuleWalk&) = delete;

  /// To the next rule: denies that decide, then the nearest, else in the order of the text. False: there is none left.
  bool next();
  /// Of the rule that next() went to.
  RuleTrace rule() const;
  bool is_met_dry_run() const;

  // Of all of them together, wherever next() is.
  std::size_t count() const { return count_; }
  bool any_privilege_met() const { return any_privilege_met_; }
  bool any_denies() const { return any_denies_; }
  bool any_allows() const { return any_allows_; }

 private:
  struct Holder {
    const RuleIdentity* identity = nullptr;
    bool deny = false;
    bool dry_run = false;
    std::size_t misses = 0;  ///< fields that the caller does not meet
    std::size_t place = 0;   ///< in the order of the assignments

    bool denies() const { return deny && !dry_run && misses == 0; }
    bool allows() const { return !deny && !dry_run && misses == 0; }
  };
  struct Role {
    std::string_view name;
    std::vector<Holder> nearest;        ///< as they follow each other where the privilege is not met
    std::vector<Holder> denials_first;  ///< and where it is
  };
  struct Privilege {
    const RulePrivilege* rule = nullptr;
    std::size_t distance = 0;
    bool met = false;
  };
  /// Where the walk stands in the holders of one privilege by one role.
  struct Cursor {
    std::uint32_t privilege = 0;
    const Role* role = nullptr;  ///< null: nobody holds the privilege
    std::size_t at = 0;
  };
  using Roles = std::map<std::string_view, Role>;

  void read_roles(const std::vector<RuleRole>& roles, const std::vector<RuleIdentity>& all,
                  const std::vector<RuleAssignment>& assignments);
  void add_cursors(const std::vector<RuleRole>& roles);
  const Holder* holder(const Cursor& cursor) const;
  std::size_t distance(const Cursor& cursor) const;
  /// The least comes first.
  std::tuple<bool, std::size_t, bool, std::uint32_t, std::size_t> key(const Cursor& cursor) const;
  void push(const Cursor& cursor);

  const identity::ConnectionIdentity& caller_;
  Reading reading_;
  std::vector<Privilege> privileges_;
  Roles roles_;
  std::vector<Cursor> heap_;
  Cursor now_;  ///< of which rule() tells; nothing yet, or any more: one without role
  std::size_t count_ = 0;
  bool any_privilege_met_ = false;
  bool any_denies_ = false;
  bool any_allows_ = false;
};

}  // namespace msp::authoring
