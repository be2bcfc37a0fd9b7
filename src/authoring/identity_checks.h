// SPDX-License-Identifier: Apache-2.0
// Compares a caller with an identity of the rules, field by field, with what was wanted and found (protocol.md E.3,
// docs/policy.md). Written apart from the engine's own comparison, as all of the trace.
// Pure; any thread.
// Nothing fails: what is not known of the caller fits no identity, but every identity that is denied something.
#pragma once

#include <vector>

#include "authoring/reading.h"
#include "base/rules_document.h"
#include "identity/connection_identity.h"

namespace msp::authoring {

/// Fields that are absent are left out. `deny`: for an assignment that denies.
std::vector<Check> compare_identity(const RuleIdentity& identity, const identity::ConnectionIdentity& caller,
                                    bool deny);

}  // namespace msp::authoring
