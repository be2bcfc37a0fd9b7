// SPDX-License-Identifier: Apache-2.0
// Ways to ask for what a privilege names that the two readings may take differently.
// Pure; any thread. Only lint_matching.cpp uses them.
// A way that a form does not offer is an empty text.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "authoring/rule_forms.h"

namespace msp::authoring {

struct Trick {
  std::string_view code;
  std::string_view what;
  bool by_rule;  ///< it depends on how the rule is written; else it works on most rules, and is told once
  std::string_view remedy;
  /// The request line's target; `n` counts the places where it can be played, from 0 until the text is empty.
  std::string (*target)(const Form& form, std::size_t n);
};

std::span<const Trick> tricks();

}  // namespace msp::authoring
