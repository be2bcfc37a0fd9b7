// SPDX-License-Identifier: Apache-2.0
// What a privilege asks of a query, folded (protocol.md E.2).
// Pure; any thread. Nothing fails.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/rules_document.h"

namespace msp::policy {

/// Sorted by key. Of keys that fold alike one counts, wherever it stands: the last in the order of bytes, and of the
/// same key the last value.
std::vector<std::pair<std::string, std::string>> folded_query(const RulePrivilege& privilege);

}  // namespace msp::policy
