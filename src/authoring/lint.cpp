// SPDX-License-Identifier: Apache-2.0
#include "authoring/lint.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "authoring/arm_rules.h"
#include "authoring/lint_checks.h"
#include "authoring/lint_damage.h"
#include "authoring/rule_source.h"
#include "authoring/surroundings.h"
#include "protocol/status.h"
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
    if (is_version(resource)) {
      out.push_back(
          {.value = resource.find("properties"), .pointer = pointer + "/properties", .form = ItemForm::kVersion});
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
    case RuleForm::kStatus:
    case RuleForm::kDump: {
      const std::string_view around = form == RuleForm::kDump ? "inputRules" : "authorizationRules";
      const json::Value* const nested = tree.find(around);
      const std::string prefix = nested == nullptr ? "" : fmt::format("/{}", around);
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

/// As the agent reads it. What has another shape reads as an empty text or list; its Damage tells where.
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

/// `whole`: all of the rules could be read, so that it can be told what they do beside each other.
void check_item(const Linted& linted, const json::Value& value, bool whole, Findings& findings) {
  check_head(linted, findings);
  check_names(linted, findings);
  check_privileges(linted, findings);
  check_identities(linted, findings);
  if (whole) {
    check_reach(linted, findings);
    check_grants(linted, findings);
    check_matching(linted, findings);
  }
  if (linted.options.target == Target::kField) {
    check_extensions(value, linted.pointer, findings);
  }
  if (linted.options.machine != nullptr) {
    check_machine(linted, *linted.options.machine, findings);
  }
}

using Told = std::set<std::string, std::less<>>;

/// I.4 is stricter than the rest: a local file with such a fault closes the service. Returns where it has told one.
Told check_local(const Candidate& candidate, Findings& findings) {
  json::Misfits form;
  json::Misfits broken;
  rules::check_local_rules(read_local_rule_file(*candidate.value, form), broken);
  constexpr std::string_view kRemedy = "mend it: as long as it is so, the agent closes the service";
  Told told;
  for (const json::Misfits::Misfit& misfit : broken.list()) {
    findings.error("local-file-refused", misfit.pointer, misfit.what, std::string(kRemedy));
    told.insert(misfit.pointer);
  }
  if (broken.count() > broken.list().size()) {
    findings.error("local-file-refused", candidate.pointer,
                   fmt::format("{} more faults like these are counted only", broken.count() - broken.list().size()),
                   std::string(kRemedy));
  }
  return told;
}

class Run {
 public:
  Run(const RuleText& text, const LintOptions& options)
      : text_(text), options_(options), form_(form_of(text.tree())), findings_(text) {
    if (options.target == Target::kField) {
      options_.matching = policy::Matching::kOff;
    }
  }

  /// All of the text, also where a part of it cannot be read.
  Result<LintReport> report() && {
    if (text_.not_utf8() != nullptr && !is_of_host(form_)) {
      return *text_.not_utf8();
    }
    for (const std::string& pointer : text_.replaced()) {
      findings_.warning("not-utf8", pointer, "this text holds what is no UTF-8; the agent reads U+FFFD in its place",
                        "write it in UTF-8");
    }
    for (const OuterFault& fault : outer_faults(text_, form_)) {
      findings_.error(fault.code, fault.pointer, fault.what, std::string(fault.remedy));
      out_.unreadable = true;
    }
    check_document(text_.tree(), form_, findings_);
    const std::vector<Candidate> found = candidates(text_.tree(), form_);
    std::vector<Damage> damages;
    for (const Candidate& candidate : found) {
      std::vector<std::string> broken = check_shape(*candidate.value, candidate.pointer, candidate.form, findings_);
      out_.unreadable = out_.unreadable || !broken.empty();
      damages.emplace_back(candidate.pointer, std::move(broken));
    }
    if (Result<void> around = check_around(); !around) {
      return std::move(around).error();
    }
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (!damages[i].total() && counts(found[i], found)) {
        check(found[i], damages[i]);
      }
    }
    out_.findings = findings_.sorted();
    for (std::size_t i = 0; i < kSeverityCount; ++i) {
      out_.counts[i] = findings_.count(static_cast<Severity>(i));
    }
    return std::move(out_);
  }

 private:
  /// Nobody reads what stands under hostga (B.4), and a remark says so. Of rules in force it holds, and is told of
  /// where it is not wireserver's once more.
  bool counts(const Candidate& candidate, const std::vector<Candidate>& all) const {
    if (!candidate.pointer.ends_with("/hostga")) {
      return true;
    }
    const auto rules_of = [](const Candidate& one) {
      RuleItem item = read(one);
      item.id.clear();
      return item;
    };
    return form_ == RuleForm::kDump && std::ranges::none_of(all, [&](const Candidate& other) {
             return other.pointer.ends_with("/wireserver") && rules_of(other) == rules_of(candidate);
           });
  }

  /// What stands around the items: the rest of a status document, of resources.
  Result<void> check_around() {
    if (form_ == RuleForm::kStatus) {
      check_status();
    }
    if (out_.unreadable) {
      return {};
    }
    auto rules = read_rules(text_);
    if (rules) {
      out_.remarks = std::move(rules->remarks);
      std::erase(out_.remarks, text_.not_utf8() != nullptr ? replaced_remark(text_) : "");  // a finding says it
    } else if (findings_.has("misplaced-openmsp")) {
      out_.unreadable = true;                    // that is what it is refused for, and it has been told, each place
    } else if (form_ != RuleForm::kLocalFile) {  // there all is in the items
      return std::move(rules).error();
    }
    return {};
  }

  /// All but the items, whose shape has been checked.
  void check_status() {
    json::Misfits misfits = text_.no_misfits();
    (void)protocol::read_status(text_.tree(), misfits);
    for (const json::Misfits::Misfit& misfit : misfits.list()) {
      if (!misfit.pointer.starts_with("/authorizationRules/")) {
        out_.unreadable = true;
        findings_.error("status-refused", misfit.pointer, misfit.what,
                        "mend it: as it is, the agent refuses this answer and keeps the rules it has");
      }
    }
  }

  void check(const Candidate& candidate, const Damage& damage) {
    const RuleItem item = read(candidate);
    const Linted linted{
        .item = item,
        .pointer = candidate.pointer,
        .local = candidate.form == ItemForm::kLocal,
        .wireserver = candidate.pointer.ends_with("/wireserver") || candidate.pointer.ends_with("/hostga"),
        .options = options_};
    const auto stands = [&damage](Severity severity, std::string_view code, std::string_view pointer) {
      return damage.passes(severity, code, pointer);
    };
    findings_.only(stands);
    Told told;
    if (linted.local) {
      told = check_local(candidate, findings_);
      out_.unreadable = out_.unreadable || findings_.has("local-file-refused");
      // Nor is the same told a second time, as what the agent forgives elsewhere.
      findings_.only([&](Severity severity, std::string_view code, std::string_view pointer) {
        return stands(severity, code, pointer) && (severity != Severity::kError || !told.contains(pointer));
      });
    }
    check_item(linted, *candidate.value, !damage.in_rules(), findings_);
    findings_.only({});
    if (damage.in_rules()) {
      out_.remarks.push_back(
          text_.where(candidate.pointer + "/rules") +
          ": which rules have no effect beside others, and where the two readings of them differ, is "
          "told once all of them can be read");
    }
  }

  const RuleText& text_;
  LintOptions options_;
  RuleForm form_;
  Findings findings_;
  LintReport out_;
};

}  // namespace

Result<LintReport> lint(const RuleText& text, const LintOptions& options) {
  if (text.tree().array() == nullptr && text.tree().object() == nullptr) {
    return read_rules(text).error();
  }
  return Run(text, options).report();
}

}  // namespace msp::authoring
