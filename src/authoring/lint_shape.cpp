// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>

#include "authoring/lint_checks.h"
#include "authoring/lint_members.h"

namespace msp::authoring {
namespace {

enum class Want : std::uint8_t { kText, kTexts, kObjects, kQuery, kRules, kOurs };

struct Field {
  std::string_view name;
  Want want = Want::kText;
  bool required = false;
};

constexpr std::array kItemFields{Field{"defaultAccess", Want::kText, true}, Field{"mode", Want::kText, true},
                                 Field{"id", Want::kText, true}, Field{"rules", Want::kRules}};
constexpr std::array kLocalFields{Field{"id"}, Field{"defaultAccess"}, Field{"rules", Want::kRules}};
constexpr std::array kVersionFields{Field{"mode"}, Field{"defaultAccess", Want::kText, true},
                                    Field{"rules", Want::kRules}};
constexpr std::array kRulesFields{Field{"privileges", Want::kObjects}, Field{"roles", Want::kObjects},
                                  Field{"identities", Want::kObjects}, Field{"roleAssignments", Want::kObjects}};
constexpr std::array kPrivilegeFields{Field{"name", Want::kText, true}, Field{"path", Want::kText, true},
                                      Field{"queryParameters", Want::kQuery}, Field{kOurs, Want::kOurs}};
constexpr std::array kRoleFields{Field{"name", Want::kText, true}, Field{"privileges", Want::kTexts, true}};
constexpr std::array kIdentityFields{
    Field{"name", Want::kText, true}, Field{"userName"}, Field{"groupName"}, Field{"exePath"}, Field{"processName"},
    Field{kOurs, Want::kOurs}};
constexpr std::array kAssignmentFields{Field{"role", Want::kText, true}, Field{"identities", Want::kTexts, true},
                                       Field{kOurs, Want::kOurs}};

std::span<const Field> fields_of_section(std::string_view section) {
  if (section == "privileges") {
    return kPrivilegeFields;
  }
  if (section == "roles") {
    return kRoleFields;
  }
  return section == "identities" ? std::span<const Field>(kIdentityFields) : kAssignmentFields;
}

template <class Fields>
std::vector<std::string_view> names_of(const Fields& fields) {
  std::vector<std::string_view> out;
  std::ranges::transform(fields, std::back_inserter(out), &Field::name);
  return out;
}

/// What stands beside a version's rules. Known, so that it is not taken for a misspelt member of theirs.
constexpr std::array<std::string_view, 7> kVersionOthers{
    "targetLocations", "excludeFromLatest", "publishedDate",         "provisioningState",
    "osType",          "description",       "applicableHostEndpoint"};
/// A misspelt name of a service makes a text look like a local rule file.
constexpr std::array<std::string_view, 4> kServices{"imds", "wireserver", "hostga", "authorizationRules"};

class Shape {
 public:
  explicit Shape(Findings& findings) : findings_(findings) {}

  std::vector<std::string> damage() && { return std::move(damage_); }

  /// `others`: names that are known here and not looked at.
  void object(const json::Value& value, const std::string& pointer, std::span<const Field> fields,
              Members members = Members::kFixed, std::span<const std::string_view> others = {}) {
    if (value.object() == nullptr) {
      mistyped(pointer, value, "an object");
      return;
    }
    std::unordered_set<std::string_view> seen;
    for (const json::Member& member : value.object()->members) {
      std::string at = pointer;
      json::append_pointer(at, member.name);
      const auto field = std::ranges::find(fields, std::string_view(member.name), &Field::name);
      if (field == fields.end()) {
        if (members == Members::kFixed || std::ranges::find(others, std::string_view(member.name)) == others.end()) {
          std::vector<std::string_view> known = names_of(fields);
          known.insert(known.end(), others.begin(), others.end());
          tell_unknown(at, member.name, known, members, findings_);
        }
        continue;
      }
      if (!seen.insert(member.name).second) {
        if (member.name == "openmsp") {
          continue;  // read, and refused by the compiler, which says so
        }
        unreadable("repeated-member", at, fmt::format("the member \"{}\" occurs twice", member.name),
                   "keep one of them");
        continue;
      }
      if (!member.value.is_null()) {
        wanted(member.value, at, *field);
      }
    }
    for (const Field& field : fields) {
      const json::Value* const found = value.find(field.name);
      if (field.required && found == nullptr) {
        unreadable("missing-member", pointer, fmt::format("the member \"{}\" is missing", field.name), "add it");
        damage_.back() += fmt::format("/{}", field.name);
      } else if (field.required && found->is_null()) {
        unreadable("missing-member", fmt::format("{}/{}", pointer, field.name),
                   fmt::format("\"{}\" is null, which counts as missing", field.name), "write a value");
      }
    }
  }

 private:
  void unreadable(std::string_view code, std::string_view pointer, std::string text, std::string_view remedy) {
    damage_.emplace_back(pointer);
    findings_.error(code, pointer, std::move(text),
                    fmt::format("{}: as it is, the agent refuses to read any of these rules", remedy));
  }

  void mistyped(std::string_view pointer, const json::Value& value, std::string_view wanted) {
    unreadable("wrong-type", pointer, fmt::format("this is {}, not {}", json::describe(value.kind()), wanted),
               fmt::format("write {}", wanted));
  }

  void wanted(const json::Value& value, const std::string& pointer, const Field& field) {
    switch (field.want) {
      case Want::kText:
        text(value, pointer);
        return;
      case Want::kTexts:
        texts(value, pointer);
        return;
      case Want::kObjects:
        section(value, pointer, field.name);
        return;
      case Want::kQuery:
        query(value, pointer);
        return;
      case Want::kRules:
        object(value, pointer, kRulesFields);
        return;
      case Want::kOurs:
        return;  // read strictly where rules are read, see RuleSections
    }
  }

  void text(const json::Value& value, std::string_view pointer) {
    if (!value.is_string()) {
      mistyped(pointer, value, "a string");
    }
  }

  void texts(const json::Value& value, const std::string& pointer) {
    if (value.array() == nullptr) {
      mistyped(pointer, value, "an array of strings");
      return;
    }
    for (std::size_t i = 0; i < value.array()->size(); ++i) {
      text((*value.array())[i], fmt::format("{}/{}", pointer, i));
    }
  }

  void section(const json::Value& value, const std::string& pointer, std::string_view name) {
    if (value.array() == nullptr) {
      mistyped(pointer, value, "an array of objects");
      return;
    }
    for (std::size_t i = 0; i < value.array()->size(); ++i) {
      object((*value.array())[i], fmt::format("{}/{}", pointer, i), fields_of_section(name));
    }
  }

  void query(const json::Value& value, const std::string& pointer) {
    if (value.object() == nullptr) {
      mistyped(pointer, value, "an object of strings");
      return;
    }
    std::unordered_set<std::string_view> seen;
    for (const json::Member& member : value.object()->members) {
      std::string at = pointer;
      json::append_pointer(at, member.name);
      text(member.value, at);
      if (!seen.insert(member.name).second) {
        findings_.error(
            "repeated-query-key", at,
            fmt::format("the query parameter \"{}\" is written twice, only the last one counts", member.name),
            "write a privilege for each value");
      }
    }
  }

  Findings& findings_;
  std::vector<std::string> damage_;
};

}  // namespace

std::vector<std::string> check_shape(const json::Value& item, const std::string& pointer, ItemForm form,
                                     Findings& findings) {
  Shape shape(findings);
  switch (form) {
    case ItemForm::kItem:
      shape.object(item, pointer, kItemFields);
      break;
    case ItemForm::kLocal:
      shape.object(item, pointer, kLocalFields, Members::kFixed, kServices);
      break;
    case ItemForm::kVersion:
      shape.object(item, pointer, kVersionFields, Members::kOpen, kVersionOthers);
      break;
  }
  return std::move(shape).damage();
}

void check_extensions(const json::Value& item, const std::string& pointer, Findings& findings) {
  const json::Value* const rules = item.find("rules");
  for (std::size_t s = 0; rules != nullptr && rules->object() != nullptr && s < rules->object()->members.size(); ++s) {
    const json::Member& section = rules->object()->members[s];
    for (std::size_t i = 0; section.value.array() != nullptr && i < section.value.array()->size(); ++i) {
      if ((*section.value.array())[i].find(kOurs) == nullptr) {
        continue;
      }
      std::string at = pointer + "/rules";
      json::append_pointer(at, section.name);
      findings.error("openmsp-for-field", fmt::format("{}/{}/{}", at, i, kOurs),
                     "the field's agent ignores \"openmsp\", so that this rule lets through more than it says",
                     "write rules without it for that agent, or run OpenMSP's");
    }
  }
}

}  // namespace msp::authoring
