// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <array>
#include <map>
#include <span>

#include "authoring/asked.h"
#include "authoring/judge.h"
#include "authoring/lint_checks.h"
#include "authoring/rule_callers.h"
#include "authoring/rule_forms.h"
#include "authoring/rule_index.h"

namespace msp::authoring {
namespace {

/// Larger sets are looked at in part, and the note says so.
constexpr std::size_t kMostPrivileges = 5000;

constexpr std::string_view kAuthor =
    "write the rule so that both readings agree, or settle on one canonicalRequestMode";

/// A way to ask for a privilege that the two readings may take differently.
struct Trick {
  std::string_view code;
  std::string_view what;
  bool by_rule;  ///< it depends on how the rule is written; else it works on most rules, and is told once
  std::string_view remedy;
  std::string (*target)(const Form& form);
};

std::string with_path(const Form& form, std::string path) {
  return target_of({.path = std::move(path), .query = form.query});
}

/// The target with something put between path and query.
std::string before_query(const Form& form, std::string_view text) {
  std::string target = target_of(form);
  target.insert(std::min(target.size(), target.find('?')), text);
  return target;
}

std::string first_segment_with(const Form& form, std::string_view text) {
  std::string target = target_of(form);
  const std::size_t at = std::min({target.size(), target.find('/', 1), target.find('?')});
  target.insert(at, text);
  return target;
}

/// "?k=no&k=v": the first value is another one.
std::string doubled_query(const Form& form) {
  if (form.query.empty()) {
    return {};
  }
  Form out = form;
  out.query.insert(out.query.begin(), {form.query.front().first, form.query.front().second + "x"});
  return target_of(out);
}

std::string hidden_query(const Form& form) {
  if (form.query.empty()) {
    return {};
  }
  std::string target = target_of(form);
  target.replace(target.find('?'), 1, "%3F");
  return target;
}

std::string without_slash(const Form& form) {
  return form.path.size() > 1 && form.path.ends_with('/') ? with_path(form, form.path.substr(0, form.path.size() - 1))
                                                          : std::string();
}

constexpr std::array kTricks{
    Trick{"legacy-prefix", "a longer last segment (legacy matching compares characters, canonical matching segments)",
          true, "let canonical matching decide; where legacy must, end the path with '/'",
          [](const Form& form) { return form.path.ends_with('/') ? "" : with_path(form, form.path + "-x"); }},
    Trick{"trailing-slash", "the path without the rule's last '/'", true,
          "write the path without it; where legacy decides, '/a' also allows '/a-x'", without_slash},
    Trick{"rule-spelling", "just what the rule says, as this reading takes it", true, kAuthor,
          [](const Form& form) { return target_of(form); }},
    Trick{
        "dot-segment", "a '.' segment in the path", false, {}, [](const Form& form) { return "/." + target_of(form); }},
    Trick{"matrix-parameter",
          "a ';' parameter in the path",
          false,
          {},
          [](const Form& form) { return first_segment_with(form, ";a=b"); }},
    Trick{"hidden-query", "an escaped '?' in front of the query", false, {}, hidden_query},
    Trick{"repeated-parameter",
          "a query parameter given twice (legacy matching takes the first, canonical any)",
          false,
          {},
          doubled_query},
    Trick{"malformed-escape",
          "a '%' without two hex digits behind the path",
          false,
          {},
          [](const Form& form) { return before_query(form, "/%zz"); }},
    Trick{"non-ascii",
          "a character outside ASCII behind the path",
          false,
          {},
          [](const Form& form) { return before_query(form, "/%C3%A9"); }},
};

policy::Snapshot compiled(RuleItem item, policy::Matching matching) {
  item.mode = "enforce";  // what rules say, not how seriously they are taken
  policy::Snapshot out;
  out.matching = matching;
  out.rules.fill(policy::RuleSet::compile(item, matching));
  return out;
}

class Comparison {
 public:
  Comparison(const Linted& linted, Findings& findings)
      : linted_(linted),
        findings_(findings),
        legacy_(compiled(linted.item, policy::Matching::kOff)),
        canonical_(compiled(linted.item, policy::Matching::kEnforce)) {}

  void run(const WholeRules& rules) {
    const RuleIndex index(rules);
    std::size_t looked_at = 0;
    for (const std::uint32_t i : index.privileges()) {
      if (++looked_at > kMostPrivileges) {
        findings_.note("matching-partly-compared", linted_.pointer + "/rules/privileges",
                       fmt::format("only the first {} privileges were compared in both readings", kMostPrivileges),
                       "lint parts of these rules");
        break;
      }
      const Indexes granted = index.granted(i);
      const Caller caller = granted.empty() ? Caller() : caller_of(rules.identities[granted.front()]);
      privilege(i, rules.privileges[i], caller);
    }
    tell_common();
  }

 private:
  void privilege(std::uint32_t i, const RulePrivilege& privilege, const Caller& caller) {
    const PrivilegeForms forms = forms_of(privilege);
    const identity::ConnectionIdentity who = make_caller(caller);
    const std::vector<std::string>& methods = privilege.openmsp.methods;
    method_ = methods.empty() ? "GET" : methods.front();
    std::string told;
    for (const Trick& trick : kTricks) {
      for (const std::optional<Form>* form : {&forms.legacy, &forms.canonical}) {
        const std::string target = *form ? trick.target(**form) : std::string();
        if (target.empty() || target == told || !differs(who, target)) {
          continue;
        }
        if (trick.by_rule) {
          tell(i, privilege, trick, target, caller);
          told = target;
        } else {
          common_.try_emplace(trick.code, Common{.trick = &trick, .count = 0, .witness = witness(target, caller)});
          ++common_[trick.code].count;
        }
        break;
      }
    }
  }

  /// Whether it passes in one reading and not in the other; `outcome_` says how.
  bool differs(const identity::ConnectionIdentity& caller, std::string_view target) {
    asked_.ask(Service::kImds, method_, target);
    if (asked_.refusal().status != 0) {
      return false;  // refused in both
    }
    const Judgement legacy = judge(caller, asked_, legacy_);
    const Judgement canonical = judge(caller, asked_, canonical_);
    legacy_allows_ = legacy.outcome == Outcome::kPermit;
    const bool canonical_allows = canonical.outcome == Outcome::kPermit;
    outcome_ = legacy_allows_ ? fmt::format("legacy matching allows it, canonical denies ({})", canonical.code)
                              : fmt::format("legacy matching denies it ({}), canonical allows", legacy.code);
    return legacy_allows_ != canonical_allows;
  }

  std::string witness(std::string_view target, const Caller& caller) const {
    return fmt::format("{} {} by {}: {}", method_, target, describe(caller), outcome_);
  }

  void tell(std::uint32_t i, const RulePrivilege& privilege, const Trick& trick, std::string_view target,
            const Caller& caller) {
    // It matters where legacy matching decides; elsewhere it is what a change of the mode would bring.
    const bool decides = linted_.options.matching != policy::Matching::kEnforce;
    findings_.add(decides ? Severity::kWarning : Severity::kNote, trick.code, linted_.at("privileges", i) + "/path",
                  fmt::format("the readings differ about \"{}\" with {}: {}", privilege.name, trick.what,
                              witness(target, caller)),
                  std::string(trick.remedy));
  }

  struct Common {
    const Trick* trick = nullptr;
    std::size_t count = 0;
    std::string witness;
  };

  void tell_common() {
    for (const auto& [code, common] : common_) {
      findings_.note(code, linted_.pointer + "/rules/privileges",
                     fmt::format("the readings differ about {} privilege{} with {}: {}", common.count,
                                 common.count == 1 ? "" : "s", common.trick->what, common.witness),
                     "nothing is wrong with the rules; it is what a change of canonicalRequestMode would bring");
    }
  }

  const Linted& linted_;
  Findings& findings_;
  policy::Snapshot legacy_;
  policy::Snapshot canonical_;
  Asked asked_;
  std::string method_;
  std::string outcome_;
  bool legacy_allows_ = false;
  std::map<std::string_view, Common> common_;
};

}  // namespace

void check_matching(const Linted& linted, Findings& findings) {
  if (const std::optional<WholeRules> rules = whole_rules(linted.item)) {
    Comparison(linted, findings).run(*rules);
  }
}

}  // namespace msp::authoring
