// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <utility>

#include "authoring/asked.h"
#include "authoring/judge.h"
#include "authoring/lint_askers.h"
#include "authoring/lint_checks.h"
#include "authoring/lint_tricks.h"
#include "authoring/rule_forms.h"
#include "authoring/rule_index.h"

namespace msp::authoring {
namespace {

/// Larger sets are looked at in part, and the note says so.
constexpr std::size_t kMostPrivileges = 5000;
/// Of the segments of one path.
constexpr std::size_t kMostPlaces = 32;

constexpr std::string_view kLeak =
    "let canonical matching decide (canonicalRequestMode enforce); where legacy must, grant what is meant and let "
    "defaultAccess deny the rest";

policy::Snapshot compiled(RuleItem item, policy::Matching matching) {
  item.mode = "enforce";  // what rules say, not how seriously they are taken
  policy::Snapshot out;
  out.matching = matching;
  out.rules.fill(policy::RuleSet::compile(item, matching));
  return out;
}

/// How one request of one caller fares.
struct Difference {
  bool gains = false;  ///< legacy matching gives the caller what canonical matching does not
  std::string text;
};

class Comparison {
 public:
  Comparison(const Linted& linted, const WholeRules& rules, Findings& findings)
      : linted_(linted),
        rules_(rules),
        findings_(findings),
        legacy_(compiled(linted.item, policy::Matching::kOff)),
        canonical_(compiled(linted.item, policy::Matching::kEnforce)) {}

  void run() {
    std::vector<PrivilegeForms> forms;
    forms.reserve(rules_.privileges.size());
    std::ranges::transform(rules_.privileges, std::back_inserter(forms), forms_of);
    const RuleIndex index(rules_);
    const Askers askers(rules_, index, forms, linted_.wireserver);
    std::size_t looked_at = 0;
    for (const std::uint32_t i : index.privileges()) {
      if (++looked_at > kMostPrivileges) {
        findings_.note("matching-partly-compared", linted_.pointer + "/rules/privileges",
                       fmt::format("only the first {} privileges were compared in both readings", kMostPrivileges),
                       "lint parts of these rules");
        break;
      }
      const std::vector<std::string>& methods = rules_.privileges[i].openmsp.methods;
      method_ = methods.empty() ? "GET" : methods.front();
      privilege(i, forms[i], askers.of(i));
    }
    tell_common();
  }

 private:
  using Outcomes = std::array<std::string, 2>;  ///< a text where nobody gains, and one where somebody does

  void privilege(std::uint32_t i, const PrivilegeForms& forms, const std::vector<Asker>& askers) {
    std::vector<std::string> told;
    for (const Trick& trick : tricks()) {
      Outcomes found;
      std::string last;
      for (const std::optional<Form>* form : {&forms.legacy, &forms.canonical}) {
        for (std::size_t n = 0; *form && n < kMostPlaces; ++n) {
          std::string target = trick.target(**form, n);
          if (target.empty()) {
            break;
          }
          if (target == last || (trick.by_rule && std::ranges::find(told, target) != told.end())) {
            continue;  // the two forms are mostly one
          }
          if (compare(target, **form, askers, found)) {
            told.push_back(target);
          }
          last = std::move(target);
        }
      }
      report(i, trick, found);
    }
  }

  /// Keeps the first witness of each kind. True: there is one.
  bool compare(const std::string& target, const Form& form, const std::vector<Asker>& askers, Outcomes& found) {
    bool any = false;
    for (const Asker& asker : askers) {
      if (std::optional<Difference> difference = differs(asker, target, form)) {
        any = true;
        std::string& kept = found[difference->gains ? 1 : 0];
        kept = kept.empty() ? std::move(difference->text) : kept;
      }
    }
    return any;
  }

  std::optional<Difference> differs(const Asker& asker, const std::string& target, const Form& form) {
    asked_.ask(Service::kImds, method_, target);
    if (asked_.refusal().status != 0) {
      return std::nullopt;  // refused in both
    }
    const Judgement legacy = judge(asker.who, asked_, legacy_);
    const Judgement canonical = judge(asker.who, asked_, canonical_);
    const bool passes = legacy.outcome == Outcome::kPermit;
    if (passes == (canonical.outcome == Outcome::kPermit)) {
      return std::nullopt;
    }
    const std::string witness = fmt::format("{} {} by {}", method_, target, asker.shown);
    if (!passes) {
      return Difference{
          .gains = false,
          .text = fmt::format("{}: legacy matching denies it ({}), canonical allows; nobody gains by legacy matching",
                              witness, legacy.code)};
    }
    // Canonical matching refuses a spelling, not what was asked for.
    const bool may_ask_plainly = canonical.status == kBadRequest && passes_plainly(asker, form);
    return Difference{
        .gains = !may_ask_plainly,
        .text = fmt::format(
            "{}: legacy matching allows it, canonical denies ({}); {}", witness, canonical.code,
            may_ask_plainly ? "nobody gains: this caller may ask for it plainly" : who_gains(asker.standing))};
  }

  bool passes_plainly(const Asker& asker, const Form& form) {
    asked_.ask(Service::kImds, method_, target_of(form));
    return asked_.refusal().status == 0 && judge(asker.who, asked_, canonical_).outcome == Outcome::kPermit;
  }

  static std::string_view who_gains(Asker::Standing standing) {
    switch (standing) {
      case Asker::Standing::kGranted:
        return "who is granted this gets more than the rule says";
      case Asker::Standing::kDenied:
        return "who is denied this gets past the deny";
      case Asker::Standing::kStranger:
        return "everybody gets past the rule";
    }
    return {};
  }

  void report(std::uint32_t i, const Trick& trick, Outcomes& found) {
    for (std::size_t gains = 0; gains < found.size(); ++gains) {
      if (found[gains].empty()) {
        continue;
      }
      if (trick.by_rule) {
        tell(i, trick, found[gains]);
        continue;
      }
      Common& common = common_[{trick.code, gains != 0}];
      if (common.count++ == 0) {
        common.trick = &trick;
        common.witness = std::move(found[gains]);
      }
    }
  }

  /// It matters where legacy matching decides; elsewhere it is what a change of the mode would bring.
  Severity severity() const {
    return linted_.options.matching != policy::Matching::kEnforce ? Severity::kWarning : Severity::kNote;
  }

  void tell(std::uint32_t i, const Trick& trick, std::string_view witness) {
    findings_.add(
        severity(), trick.code, linted_.at("privileges", i) + "/path",
        fmt::format("the readings differ about \"{}\" with {}: {}", rules_.privileges[i].name, trick.what, witness),
        std::string(trick.remedy));
  }

  void tell_common() {
    for (const auto& [key, common] : common_) {
      const bool gains = key.second;
      findings_.add(gains ? severity() : Severity::kNote, key.first, linted_.pointer + "/rules/privileges",
                    fmt::format("the readings differ about {} privilege{} with {}: {}", common.count,
                                common.count == 1 ? "" : "s", common.trick->what, common.witness),
                    std::string(gains ? kLeak
                                      : "nothing is wrong with the rules; it is what a change of "
                                        "canonicalRequestMode would bring"));
    }
  }

  struct Common {
    const Trick* trick = nullptr;
    std::size_t count = 0;
    std::string witness;
  };

  static constexpr int kBadRequest = 400;

  const Linted& linted_;
  const WholeRules& rules_;
  Findings& findings_;
  policy::Snapshot legacy_;
  policy::Snapshot canonical_;
  Asked asked_;
  std::string method_;
  std::map<std::pair<std::string_view, bool>, Common> common_;  ///< by code, and whether somebody gains
};

}  // namespace

void check_matching(const Linted& linted, Findings& findings) {
  if (const std::optional<WholeRules> rules = whole_rules(linted.item)) {
    Comparison(linted, *rules, findings).run();
  }
}

}  // namespace msp::authoring
