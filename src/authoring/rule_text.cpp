// SPDX-License-Identifier: Apache-2.0
#include "authoring/rule_text.h"

#include <fmt/core.h>

#include <utility>

#include "base/utf8.h"

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

Error named(Error error, const std::string& name) {
  if (error.hint.empty()) {
    error.hint = "mend the JSON at this place";
  }
  return std::move(error).context(name);
}

/// A raw byte, or half of a pair of escapes.
bool replaced_in(std::string_view raw, std::string_view decoded) {
  return decoded.contains("\xEF\xBF\xBD") &&
         (utf8_invalid_at(raw) != std::string_view::npos || raw.contains("\\ud") || raw.contains("\\uD"));
}

/// The depth of the tree is bounded by kLimits.
void add_replaced(std::string_view text, const json::Value& value, const std::string& pointer,
                  std::vector<std::string>& out) {
  if (const std::string* const decoded = value.string()) {
    if (replaced_in(text.substr(value.begin, value.end - value.begin), *decoded)) {
      out.push_back(pointer);
    }
  }
  for (std::size_t i = 0; value.array() != nullptr && i < value.array()->size(); ++i) {
    add_replaced(text, (*value.array())[i], fmt::format("{}/{}", pointer, i), out);
  }
  for (std::size_t i = 0; value.object() != nullptr && i < value.object()->members.size(); ++i) {
    const json::Member& member = value.object()->members[i];
    std::string at = pointer;
    json::append_pointer(at, member.name);
    if (replaced_in(text.substr(member.begin, member.value.begin - member.begin), member.name)) {
      out.push_back(at);
    }
    add_replaced(text, member.value, at, out);
  }
}

}  // namespace

std::optional<Error> other_encoding(std::string_view text, const std::string& name) {
  using namespace std::string_view_literals;
  if (text.size() < 4) {
    return std::nullopt;
  }
  // With a byte order mark, or by where the zeros of "{" and what follows it are.
  const auto zero = [&](std::size_t at) { return text[at] == '\0'; };
  const bool is_32 = (zero(0) && zero(1)) || (zero(2) && zero(3));
  const bool is_16 = text.starts_with("\xFF\xFE"sv) || text.starts_with("\xFE\xFF"sv) || zero(0) || zero(1);
  if (!is_32 && !is_16) {
    return std::nullopt;
  }
  return config_error(fmt::format("{}: line 1, column 1: this is {}", name, is_32 ? "UTF-32" : "UTF-16"),
                      "save it as UTF-8");
}

Result<RuleText> RuleText::parse(std::string text, std::string name, std::string base) {
  if (auto encoding = other_encoding(text, name)) {
    return *std::move(encoding);
  }
  auto tree = json::parse(text, kLimits);
  if (tree) {
    return RuleText(std::move(text), std::move(name), std::move(base), *std::move(tree), std::nullopt);
  }
  json::Options lossy = kLimits;
  lossy.lossy_utf8 = true;
  auto replaced = json::parse(text, lossy);
  if (!replaced) {
    return named(std::move(replaced).error(), name);
  }
  Error error = named(std::move(tree).error(), name);
  return RuleText(std::move(text), std::move(name), std::move(base), *std::move(replaced), std::move(error));
}

bool RuleText::has_bom() const { return text_.starts_with("\xEF\xBB\xBF"); }

std::vector<std::string> RuleText::replaced() const {
  std::vector<std::string> out;
  if (not_utf8_) {
    add_replaced(text_, tree_, "", out);
  }
  return out;
}

json::Place RuleText::place(std::string_view pointer) const {
  const json::Value* value = tree_.at(pointer);
  while (value == nullptr && !pointer.empty()) {
    pointer = pointer.substr(0, pointer.rfind('/'));
    value = tree_.at(pointer);
  }
  json::Place out = json::place_of(text_, value == nullptr ? 0 : value->begin);
  if (has_bom() && out.line == 1 && out.column > 1) {
    --out.column;  // no editor shows the mark
  }
  return out;
}

std::string RuleText::where(std::string_view pointer) const {
  const json::Place at = place(pointer);
  const std::string whole = base_ + std::string(pointer);
  const std::string shown = whole.empty() ? std::string() : fmt::format(" ({})", whole);
  return fmt::format("{}: line {}, column {}{}", name_, at.line, at.column, shown);
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
