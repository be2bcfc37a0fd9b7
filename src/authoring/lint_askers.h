// SPDX-License-Identifier: Apache-2.0
// Who might ask for what a privilege names: one whom it is granted, one whom it is denied, and one whom no rule names.
// Owned by one run of lint, one thread. The rules must outlive it.
// Nothing fails; of many identities a few stand for all.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "authoring/caller.h"
#include "authoring/rule_forms.h"
#include "authoring/rule_index.h"

namespace msp::authoring {

struct Asker {
  enum class Standing : std::uint8_t { kGranted, kDenied, kStranger };

  Standing standing = Standing::kStranger;
  std::string shown;  ///< for messages
  identity::ConnectionIdentity who;
};

class Askers {
 public:
  /// `forms`: of each privilege. `root_only`: of a service that answers nobody else.
  Askers(const WholeRules& rules, const RuleIndex& index, const std::vector<PrivilegeForms>& forms, bool root_only);

  std::vector<Asker> of(std::uint32_t privilege) const;

 private:
  Asker asker(Asker::Standing standing, Caller caller) const;
  void add_denied(std::uint32_t privilege, std::vector<Asker>& out) const;

  const WholeRules& rules_;
  const RuleIndex& index_;
  const std::vector<PrivilegeForms>& forms_;
  Caller stranger_;
  std::vector<Indexes> denied_;  ///< by privilege: identities
  /// By canonical path: an identity that some privilege of this path is granted to.
  std::map<std::string, std::uint32_t, std::less<>> granted_at_;
};

}  // namespace msp::authoring
