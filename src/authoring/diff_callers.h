// SPDX-License-Identifier: Apache-2.0
// Callers at whom two versions of rules could decide differently, made from the identities of both.
// Owned by one comparison; one thread. The identities of the table must outlive it.
// Enough of them: what a caller has beyond the identity that allows it and the one that denies it only makes more
// denies fit. So does what is not known of it (docs/policy.md), which is therefore left open only where nobody can be
// known to fit. Whoever cannot be at all is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "authoring/caller.h"
#include "authoring/diff_side.h"
#include "base/net.h"
#include "identity/connection_identity.h"

namespace msp::authoring {

/// The fewer, the plainer a witness.
std::size_t fields_of(const Caller& caller);

class DiffCallers {
 public:
  struct Known {
    Caller caller;
    identity::ConnectionIdentity identity;
  };

  DiffCallers(Service service, const CallerTable& table);

  using List = std::vector<Known>;

  // One caller, or none, or several: at WireServer root without a name as well where the rules leave the name open;
  // where the name of the process matters, an executable that is a link to another file.
  /// A user that no rule names.
  const List& nobody() const { return nobody_; }
  /// Who just meets an identity of the table.
  const List& allowed(std::uint32_t identity) const { return allowed_[identity]; }
  /// Whom just this identity denies.
  const List& denied(std::uint32_t identity) const { return denied_[identity]; }
  /// Who just meets `allow` and is denied by `deny`.
  List both(std::uint32_t allow, std::uint32_t deny) const;

 private:
  bool can_be_user(const std::string& name) const;
  bool can_be(const Caller& caller) const;
  List known(const std::optional<Caller>& caller) const;
  std::optional<Caller> denied_among(const Caller& allowed, const RuleIdentity& deny) const;
  void add_users(Caller who, List& out) const;
  void name_nobody();

  Service service_;
  const std::vector<const RuleIdentity*>& identities_;
  std::unordered_set<std::string_view> users_;      ///< that rules name
  std::unordered_set<std::string_view> processes_;  ///< that rules name
  std::string nobodys_name_ = "somebody";
  std::string nobodys_process_ = "another";
  List nobody_;
  std::vector<List> allowed_;
  std::vector<List> denied_;
};

}  // namespace msp::authoring
