// SPDX-License-Identifier: Apache-2.0
// A JSON text that an author wrote, and where things stand in it: every message about it names line and column.
// Owned by one run of a tool; any thread. Nothing is known of rules here.
// Text that is no JSON is an Error with its place; a pointer to what is not there is placed at its nearest ancestor.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "base/json_members.h"
#include "base/result.h"

namespace msp::authoring {

class RuleText {
 public:
  /// `name`: of the file, for messages. A byte order mark is skipped; bytes that are no UTF-8 are refused.
  static Result<RuleText> parse(std::string text, std::string name);

  const json::Value& tree() const { return tree_; }
  const std::string& name() const { return name_; }
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
  RuleText(std::string text, std::string name, json::Value tree)
      : text_(std::move(text)), name_(std::move(name)), tree_(std::move(tree)) {}

  std::string text_;
  std::string name_;
  json::Value tree_;
};

}  // namespace msp::authoring
