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

Error RuleText::error(const json::Misfits& misfits, std::string hint) const {
  std::string lines;
  for (const json::Misfits::Misfit& misfit : misfits.list()) {
    lines += fmt::format("{}{}: {}", lines.empty() ? "" : "\n", where(misfit.pointer), misfit.what);
  }
  if (misfits.count() > misfits.list().size()) {
    lines += fmt::format("\nand {} more", misfits.count() - misfits.list().size());
  }
  return config_error(std::move(lines), std::move(hint));
}

}  // namespace msp::authoring
