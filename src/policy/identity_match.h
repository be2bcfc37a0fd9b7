// SPDX-License-Identifier: Apache-2.0
// Is this caller the one that a rule's identity describes? (protocol.md E.3)
// Pure, no memory; any thread.
// A user without name, unread groups and an executable that was not found by a held pin match nothing that asks for
// them; a process without base name is the empty text, as in the field.
#pragma once

#include <string_view>

#include "identity/connection_identity.h"
#include "policy/ruleset.h"

namespace msp::policy {

struct IdentityMatch {
  bool matched = false;
  int fields_met = 0;  ///< before the first miss: tells which of several misses came closest
  /// The first that did not fit: "userName", "groupName", "processName", "exePath", "unit", "cgroup", "container".
  std::string_view missed_field;
};

/// Exact and case-sensitive, except that executable paths are compared by components.
IdentityMatch match_identity(const IdentityRule& rule, const identity::ConnectionIdentity& caller);

/// For a deny: as match_identity, but what is not known of the caller (a user without name, groups that were not all
/// read or have no name, a cgroup that is gone) counts as fitting. Else a caller would escape by being hard to tell.
bool may_be(const IdentityRule& rule, const identity::ConnectionIdentity& caller);
/// What may_be() forgives; 0: it says the same as match_identity().
UnknownFields unknown_fields(const identity::ConnectionIdentity& caller);

}  // namespace msp::policy
