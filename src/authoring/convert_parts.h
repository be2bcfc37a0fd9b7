// SPDX-License-Identifier: Apache-2.0
// Pieces of a conversion: the rules of each service as they stand in the text, and edits of JSON objects.
// Pure; any thread. Pointers are into the text and the source, which must outlive them. Only convert.cpp uses it.
// Rules of a service that the text does not hold are an Error.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "authoring/rule_source.h"
#include "authoring/rule_text.h"
#include "base/json.h"

namespace msp::authoring {

struct RulePart {
  RuleForm form = RuleForm::kItem;
  std::optional<Service> service;
  std::string pointer;               ///< of `raw`
  const json::Value* raw = nullptr;  ///< the item, a version's properties, or the local file
  const RuleItem* item = nullptr;    ///< what it means
};

/// One for each service that has rules; `wanted` alone where it is given. Rules that the agent would refuse, and so
/// deny everything, are an Error with all reasons: in another form they could mean something.
Result<std::vector<RulePart>> parts_of(const RuleText& text, const RuleSource& source, std::optional<Service> wanted);

json::Object object_of(const json::Value& value);
json::Value text_value(std::string_view text);
/// In its old place if there is one.
void set(json::Object& object, std::string_view name, json::Value value);
bool erase(json::Object& object, std::string_view name);
/// These first.
json::Object in_order(json::Object object, std::initializer_list<std::string_view> names);

std::string policy_lower(std::string_view text);
/// "Enforce" of "enforce".
std::string capital(std::string text);

/// The reference id of a version (N), in any case.
bool is_version_id(std::string_view id);
/// Where "/versions/" begins.
std::size_t version_start(std::string_view id);
/// Without blanks and encoding (I.1), and whether it switches local rule files on.
std::pair<std::string, bool> logical_id(std::string_view id);

/// I.4: the agent closes a service whose local file breaks a rule.
Result<void> valid_local(const json::Value& document);

}  // namespace msp::authoring
