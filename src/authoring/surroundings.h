// SPDX-License-Identifier: Apache-2.0
// What makes a text of rules unusable outside of the rules themselves, which have readers of their own.
// Pure; any thread. The text comes from the author of an allowlist.
// A fault is something of which the tools could make a sense that whoever reads the text in production does not.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "authoring/rule_source.h"
#include "authoring/rule_text.h"

namespace msp::authoring {

struct OuterFault {
  std::string_view code;  ///< of lint
  std::string pointer;
  std::string what;
  std::string_view remedy;
};

/// A byte order mark before what comes from a host, of which the agent reads none; a repeated member around the rules,
/// of which one would count and the other be gone. Placed at the later one.
std::vector<OuterFault> outer_faults(const RuleText& text, RuleForm form);

}  // namespace msp::authoring
