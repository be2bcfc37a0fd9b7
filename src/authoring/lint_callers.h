// SPDX-License-Identifier: Apache-2.0
// What lint asks of an identity of the rules: can there be such a caller, and is it one program or any script?
// Pure functions; any thread.
// Nothing fails.
#pragma once

#include <string>
#include <string_view>

#include "base/rules_document.h"

namespace msp::authoring {

/// Why no process can ever be this caller; empty: one can.
std::string why_nobody(const RuleIdentity& identity);

/// It asks for an executable without name. A file that is mounted and stands in no directory has none, and every user
/// may mount any program so, in a user namespace, and run it.
bool is_without_name(const RuleIdentity& identity);

/// The executable is this caller's only where its path is a link to a file that is called as processName says. The
/// field's agent compares the path of the file itself: to it nobody is.
bool needs_link(const RuleIdentity& identity);

/// Why a deny of this identity is about no caller at all; empty: it is about one. What is not known of a caller counts
/// as fitting then (policy::may_be), so that a name which nobody has is everybody without one.
std::string why_denies_nobody(const RuleIdentity& identity);

/// "python" of "/usr/bin/python3.11": a program that runs whatever it is told to. Empty for any other.
std::string_view interpreter(const RuleIdentity& identity);

}  // namespace msp::authoring
