// SPDX-License-Identifier: Apache-2.0
// Identities of rules as callers: who just meets one, which is broader.
// Pure functions; any thread.
// Nothing fails.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "authoring/caller.h"
#include "base/rules_document.h"

namespace msp::authoring {

/// A caller that has what the identity asks for and nothing else that any rule could ask for.
Caller caller_of(const RuleIdentity& identity);

/// Who just meets both; nothing if nobody can.
std::optional<Caller> both(const Caller& a, const Caller& b);

/// Whoever meets `narrow` meets `broad`.
bool covers(const RuleIdentity& broad, const RuleIdentity& narrow);

/// "user root, executable /usr/bin/curl"; "everybody".
std::string describe(const RuleIdentity& identity);
std::string describe(const Caller& caller);

/// The last component.
std::string_view base_name(std::string_view path);

}  // namespace msp::authoring
