// SPDX-License-Identifier: Apache-2.0
// One side of a comparison: the rules of one service with an index by path, and what its parts mean, as numbers that
// are equal where the meaning is. Only diff.cpp and diff_requests.cpp use it.
// Owned by one comparison; immutable once made; one thread. The item must outlive it.
// No item, or one whose rules cannot be used, is a side without privileges.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "authoring/rule_forms.h"
#include "authoring/rule_index.h"
#include "base/rules_document.h"
#include "policy/rule_index.h"

namespace msp::authoring {

/// Identities of both sides, each kind once, whatever its name. They must outlive it.
class CallerTable {
 public:
  std::uint32_t add(const RuleIdentity& identity);
  const std::vector<const RuleIdentity*>& identities() const { return identities_; }

 private:
  std::map<std::string, std::uint32_t> by_meaning_;
  std::vector<const RuleIdentity*> identities_;
};

struct Grants {
  std::vector<std::uint32_t> allow;  ///< indexes into CallerTable, ascending, each once
  std::vector<std::uint32_t> deny;
  std::vector<std::uint32_t> allowed_names;  ///< whom it allows as the side calls them: DiffSide::identity()
};

/// As the matcher that decides reads it.
struct ReadRequest {
  bool canonical = false;
  Form form;
  std::string method;
};

/// With '/' behind each segment, so that bytes align with segments.
std::string canonical_key(const Form& form);

class DiffSide {
 public:
  DiffSide(const RuleItem* item, CallerTable& callers);

  const std::vector<PrivilegeForms>& forms() const { return forms_; }
  const std::vector<const RulePrivilege*>& privileges() const { return privileges_; }
  /// Roles make few kinds of grants; privileges of the same roles are of one kind.
  std::uint32_t kind(std::uint32_t privilege) const { return grant_of_[privilege]; }
  const Grants& grants_of_kind(std::uint32_t kind) const { return grants_[kind]; }
  const RuleIdentity& identity(std::uint32_t identity) const { return *identities_[identity]; }
  /// In the CallerTable.
  std::uint32_t caller(std::uint32_t identity) const { return caller_of_[identity]; }

  /// Privileges that the request can meet, whatever its method, and some that it does not. Ascending.
  std::vector<std::uint32_t> near(const ReadRequest& request) const;
  /// Those of them that the request meets.
  std::vector<std::uint32_t> met(const std::vector<std::uint32_t>& near, const ReadRequest& request) const;
  /// Equal where path, query, methods and grants of these privileges mean the same, in any order.
  std::vector<std::uint64_t> meaning(const std::vector<std::uint32_t>& privileges) const;
  /// Of these privileges those whose meaning is not among `others`, which are ascending.
  std::vector<std::uint32_t> unlike(const std::vector<std::uint32_t>& privileges,
                                    const std::vector<std::uint64_t>& others) const;

 private:
  void add_privileges(const WholeRules& rules, CallerTable& callers);
  std::uint32_t add_grants(const Indexes& roles, const std::vector<Indexes>& allow, const std::vector<Indexes>& deny);
  bool meets(std::uint32_t privilege, const ReadRequest& request) const;

  std::vector<const RulePrivilege*> privileges_;
  std::vector<PrivilegeForms> forms_;
  std::vector<std::uint32_t> grant_of_;  ///< by privilege
  std::vector<Grants> grants_;
  std::vector<const RuleIdentity*> identities_;
  std::vector<std::uint32_t> caller_of_;  ///< by identity
  std::vector<std::uint64_t> meaning_;    ///< by privilege
  policy::RuleIndex legacy_;
  policy::RuleIndex canonical_;
};

}  // namespace msp::authoring
