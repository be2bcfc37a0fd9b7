// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint.h"

#include <fmt/core.h>

#include <functional>
#include <set>
#include <utility>

#include "authoring/arm_rules.h"
#include "authoring/lint_checks.h"
#include "authoring/rule_source.h"
#include "rules/local_rules.h"

namespace msp::authoring {
namespace {

/// A value that should be an item.
struct Candidate {
  const json::Value* value = nullptr;
  std::string pointer;
  ItemForm form = ItemForm::kItem;
};

void add_versions(const json::Value& tree, std::vector<Candidate>& out) {
  const auto add = [&](const json::Value& resource, const std::string& pointer) {
    const json::Value* const properties = resource.find("properties");
    if (properties != nullptr && properties->find("applicableHostEndpoint") == nullptr) {
      out.push_back({.value = properties, .pointer = pointer + "/properties", .form = ItemForm::kVersion});
    }
  };
  if (tree.find("properties") != nullptr) {
    add(tree, "");
    return;
  }
  const std::string prefix = tree.array() != nullptr ? "" : "/value";
  const json::Array& list = tree.array() != nullptr ? *tree.array() : *tree.find("value")->array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    add(list[i], fmt::format("{}/{}", prefix, i));
  }
}

std::vector<Candidate> candidates(const json::Value& tree, RuleForm form) {
  std::vector<Candidate> out;
  switch (form) {
    case RuleForm::kItem:
      out.push_back({.value = &tree, .pointer = "", .form = ItemForm::kItem});
      break;
    case RuleForm::kLocalFile:
      out.push_back({.value = &tree, .pointer = "", .form = ItemForm::kLocal});
      break;
    case RuleForm::kArm:
      add_versions(tree, out);
      break;
    case RuleForm::kServices:
    case RuleForm::kStatus: {
      const json::Value* const nested = tree.find("authorizationRules");
      const std::string prefix = nested == nullptr ? "" : "/authorizationRules";
      for (const std::string_view service : {"imds", "wireserver", "hostga"}) {
        const json::Value* const item = (nested == nullptr ? tree : *nested).find(service);
        if (item != nullptr && !item->is_null()) {
          out.push_back({.value = item, .pointer = fmt::format("{}/{}", prefix, service), .form = ItemForm::kItem});
        }
      }
      break;
    }
  }
  return out;
}

/// As the agent reads it; the shape has been found right.
RuleItem read(const Candidate& candidate) {
  json::Misfits misfits;
  if (candidate.form == ItemForm::kItem) {
    return read_rule_item(*candidate.value, candidate.pointer, misfits);
  }
  const LocalRuleFile file = read_local_rule_file(*candidate.value, misfits);
  RuleItem out{.default_access = file.default_access.value_or("deny"),
               .mode = "enforce",
               .id = file.id.value_or("-"),
               .rules = file.rules};
  const json::Value* const mode = candidate.value->find("mode");
  if (candidate.form == ItemForm::kVersion) {
    out.id = "-";  // that of the resource
    out.mode = mode != nullptr && mode->is_string() ? *mode->string() : out.mode;
  }
  return out;
}

void check_item(const Linted& linted, const json::Value& value, Findings& findings) {
  check_head(linted, findings);
  check_names(linted, findings);
  check_privileges(linted, findings);
  check_identities(linted, findings);
  check_reach(linted, findings);
  check_matching(linted, findings);
  if (linted.options.target == Target::kField) {
    check_extensions(value, linted.pointer, findings);
  }
  if (linted.options.machine != nullptr) {
    check_machine(linted, *linted.options.machine, findings);
  }
}

/// I.4 is stricter than the rest: a local file with such a fault closes the service. What is told here is not told a
/// second time as what the agent forgives elsewhere.
bool check_local(const Candidate& candidate, Findings& findings) {
  json::Misfits form;
  json::Misfits broken;
  rules::check_local_rules(read_local_rule_file(*candidate.value, form), broken);
  constexpr std::string_view kRemedy = "mend it: as long as it is so, the agent closes the service";
  std::set<std::string, std::less<>> told;
  for (const json::Misfits::Misfit& misfit : broken.list()) {
    findings.error("local-file-refused", misfit.pointer, misfit.what, std::string(kRemedy));
    told.insert(misfit.pointer);
  }
  if (broken.count() > broken.list().size()) {
    findings.error("local-file-refused", candidate.pointer,
                   fmt::format("{} more faults like these are counted only", broken.count() - broken.list().size()),
                   std::string(kRemedy));
  }
  findings.only([told = std::move(told)](Severity severity, std::string_view /*code*/, std::string_view pointer) {
    return severity != Severity::kError || !told.contains(pointer);
  });
  return !broken.any();
}

}  // namespace

Result<LintReport> lint(const RuleText& text, const LintOptions& options) {
  if (text.tree().array() == nullptr && text.tree().object() == nullptr) {
    return read_rules(text).error();
  }
  LintOptions effective = options;
  if (options.target == Target::kField) {
    effective.matching = policy::Matching::kOff;
  }
  const RuleForm form = form_of(text.tree());
  Findings findings(text);
  LintReport out;
  std::vector<Candidate> found = candidates(text.tree(), form);
  for (const Candidate& candidate : found) {
    out.unreadable = !check_shape(*candidate.value, candidate.pointer, candidate.form, findings) || out.unreadable;
  }
  if (!out.unreadable) {
    if (form == RuleForm::kLocalFile) {
      out.unreadable = !check_local(found.front(), findings);
    } else if (auto rules = read_rules(text); !rules) {
      return std::move(rules).error();  // something around the rules: the whole of a status document, of resources
    } else {
      for (const std::string& remark : rules->remarks) {
        out.remarks.push_back(remark);
      }
    }
    for (const Candidate& candidate : found) {
      if (candidate.pointer.ends_with("/hostga")) {
        continue;  // nobody reads it (B.4), and a remark says so
      }
      const RuleItem item = read(candidate);
      const Linted linted{.item = item,
                          .pointer = candidate.pointer,
                          .local = candidate.form == ItemForm::kLocal,
                          .wireserver = candidate.pointer.ends_with("/wireserver"),
                          .options = effective};
      check_item(linted, *candidate.value, findings);
    }
  }
  out.findings = findings.sorted();
  for (std::size_t i = 0; i < kSeverityCount; ++i) {
    out.counts[i] = findings.count(static_cast<Severity>(i));
  }
  return out;
}

}  // namespace msp::authoring
