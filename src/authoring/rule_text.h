// SPDX-License-Identifier: Apache-2.0
// A JSON text that an author wrote, and where things stand in it: every message about it names line and column.
// Owned by one run of a tool; any thread. Nothing is known of rules here.
// Text that is no JSON is an Error with its place; a pointer to what is not there is placed at its nearest ancestor.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/json_members.h"
#include "base/result.h"

namespace msp::authoring {

/// Names UTF-16 and UTF-32, which a parser of UTF-8 could only call a strange byte; nothing for any other text.
std::optional<Error> other_encoding(std::string_view text, const std::string& name);

class RuleText {
 public:
  /// `name`: of the file, for messages. A byte order mark is skipped: ask has_bom(). What is no UTF-8 reads as U+FFFD:
  /// ask not_utf8(). `base`: pointer to this value in the text that it is part of, for messages.
  static Result<RuleText> parse(std::string text, std::string name, std::string base = {});

  const json::Value& tree() const { return tree_; }
  const std::string& name() const { return name_; }
  /// Why a reader that takes UTF-8 alone refuses this text; null: it does not.
  const Error* not_utf8() const { return not_utf8_ ? &*not_utf8_ : nullptr; }
  bool has_bom() const;
  /// Pointers to the texts in which something was replaced.
  std::vector<std::string> replaced() const;
  /// For a reader of its members.
  json::Misfits no_misfits() const { return json::Misfits(text_); }

  json::Place place(std::string_view pointer) const;
  /// "rules.json: line 3, column 12 (/rules/roles/0)".
  std::string where(std::string_view pointer) const;

  Error error(std::string_view pointer, std::string_view what, std::string hint) const;
  /// What a reader of members found, a line each.
  Error error(const json::Misfits& misfits,
              std::string hint = "the forms of rules and their members are in docs/mspctl-policy.md") const;

 private:
  RuleText(std::string text, std::string name, std::string base, json::Value tree, std::optional<Error> not_utf8)
      : text_(std::move(text)),
        name_(std::move(name)),
        base_(std::move(base)),
        tree_(std::move(tree)),
        not_utf8_(std::move(not_utf8)) {}

  std::string text_;
  std::string name_;
  std::string base_;
  json::Value tree_;
  std::optional<Error> not_utf8_;
};

}  // namespace msp::authoring
