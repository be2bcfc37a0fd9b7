// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_text.h"

#include <fmt/core.h>

#include <utility>

namespace msp::authoring {
namespace {

// As large as the largest status document that the agent reads.
constexpr json::Options kLimits{.max_bytes = std::size_t{64} << 20,
                                .max_depth = 128,
                                .max_nodes = 4'000'000,
                                .skip_bom = true,
                                .lossy_utf8 = false,
                                .unique_members = false,
                                .source = Source::kConfig};

}  // namespace

Result<RuleText> RuleText::parse(std::string text, std::string name) {
  auto tree = json::parse(text, kLimits);
  if (!tree) {
    Error error = std::move(tree).error();
    if (error.hint.empty()) {
      error.hint = "mend the JSON at this place";
    }
    return std::move(error).context(name);
  }
  return RuleText(std::move(text), std::move(name), *std::move(tree));
}

json::Place RuleText::place(std::string_view pointer) const {
  const json::Value* value = tree_.at(pointer);
  while (value == nullptr && !pointer.empty()) {
    pointer = pointer.substr(0, pointer.rfind('/'));
    value = tree_.at(pointer);
  }
  return json::place_of(text_, value == nullptr ? 0 : value->begin);
}

std::string RuleText::where(std::string_view pointer) const {
  const json::Place at = place(pointer);
  return fmt::format("{}: line {}, column {}{}{}{}", name_, at.line, at.column, pointer.empty() ? "" : " (", pointer,
                     pointer.empty() ? "" : ")");
}

Error RuleText::error(std::string_view pointer, std::string_view what, std::string hint) const {
  return config_error(fmt::format("{}: {}", where(pointer), what), std::move(hint));
}

Error RuleText::error(const json::FirstProblem& problem) const {
  // The text begins with the pointer, which `where` names already.
  const std::size_t colon = problem.text.find(": ", problem.pointer.size());
  const std::string_view what = std::string_view(problem.text).substr(colon == std::string::npos ? 0 : colon + 2);
  return error(problem.pointer, what, "the forms of rules and their members are in docs/mspctl-policy.md");
}

}  // namespace msp::authoring
