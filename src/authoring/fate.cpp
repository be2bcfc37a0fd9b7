// SPDX-License-Identifier: Apache-2.0
#include "authoring/fate.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace msp::authoring {
namespace {

constexpr std::size_t kMostKnown = 4096;
constexpr std::size_t kNameLimit = 128;  // docs/audit.md, "Limits"

bool is_logged_as(std::string_view name, const std::string& logged) { return name.substr(0, kNameLimit) == logged; }

/// Whether the record is what the agent would have written. Of a refusal only the code counts: the miss that was
/// nearest proves nothing, and which one that is has changed.
bool fits_record(const Judgement& judgement, const RequestLine& line) {
  if (!line.recorded || judgement.outcome != *line.recorded) {
    return false;
  }
  return judgement.outcome == Outcome::kPermit ? is_logged_as(judgement.names.privilege, line.by.privilege) &&
                                                     is_logged_as(judgement.names.role, line.by.role) &&
                                                     is_logged_as(judgement.names.identity, line.by.identity)
                                               : judgement.code == line.by.reason;
}

const policy::IdentityRule* identity_named(const policy::RuleSet& rules, const std::string& name) {
  const auto found =
      std::ranges::find_if(rules.identities(), [&](const auto& one) { return is_logged_as(one.name, name); });
  return name.empty() || found == rules.identities().end() ? nullptr : &*found;
}

/// Texts may hold any byte; with their sizes they never mix.
void append(std::string& out, std::string_view text) {
  out += fmt::format("{}:", text.size());
  out += text;
}

}  // namespace

std::string_view to_string(Change change) {
  switch (change) {
    case Change::kNotCompared:
      return "not_compared";
    case Change::kSame:
      return "same";
    case Change::kDifferent:
      return "different";
    case Change::kUnknown:
      return "unknown";
  }
  return "unknown";
}

Fates::Fates(policy::Snapshot rules, std::optional<policy::Snapshot> other,
             std::function<std::vector<std::string>(const std::string& user)> groups_of)
    : rules_(std::move(rules)), other_(std::move(other)), groups_of_(std::move(groups_of)) {
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    asked_query_[i] = asked_query(versions(static_cast<Service>(i)));
  }
}

Versions Fates::versions(Service service) const {
  return {rules_.of(service).get(), other_ ? other_->of(service).get() : nullptr};
}

const policy::Snapshot* Fates::rules_that_decided(const RequestLine& line) const {
  const auto have_that_id = [&](const policy::Snapshot& one) {
    const auto& rules = one.of(line.service);
    return rules && rules->id() == line.by.rule_set;
  };
  if (!line.from_log || line.by.rule_set.empty()) {
    return nullptr;
  }
  // The version to compare with goes first: it is the older one, and the new one may not have a new id yet.
  if (other_ && have_that_id(*other_)) {
    return &*other_;
  }
  return have_that_id(rules_) ? &rules_ : nullptr;
}

const PossibleCallers& Fates::callers_of(const RequestLine& line, const policy::Snapshot* decided) {
  const policy::IdentityRule* const proven =
      decided == nullptr ? nullptr : identity_named(*decided->of(line.service), line.by.identity);
  std::string key = fmt::format("{} {} ", static_cast<int>(line.service), line.caller.uid.value_or(0));
  for (const std::string* text : {&line.caller.user, &line.caller.exe, &line.exe_rule, &line.caller.cgroup}) {
    append(key, *text);
  }
  append(key, proven == nullptr ? "" : proven->name);
  if (known_.size() >= kMostKnown) {
    known_.clear();
  }
  const auto [found, is_new] = known_.try_emplace(std::move(key));
  if (is_new) {
    found->second = possible_callers(line, groups_of_ != nullptr, versions(line.service), proven);
  }
  return found->second;
}

void Fates::try_target(const RequestLine& line, std::string_view target, const PossibleCallers& callers,
                       const policy::Snapshot* decided, std::vector<Way>& out) {
  if (line.host.empty()) {
    asked_.ask(line.service, line.method, target);
  } else {
    asked_.ask(line.method, {.service = line.service, .host = line.host, .target = std::string(target)});
  }
  for (const identity::ConnectionIdentity& caller : callers.callers) {
    Way& way = out.emplace_back(Way{.judgement = judge(caller, asked_, rules_), .before = line.recorded});
    bool fits = decided == &rules_ && fits_record(way.judgement, line);
    if (other_) {
      const Judgement other = judge(caller, asked_, *other_);
      way.before = other.outcome;
      fits = fits || (decided == &*other_ && fits_record(other, line));
    }
    way.as_recorded = fits;
  }
}

Fate Fates::sum_up(const std::vector<Way>& ways, bool only_as_recorded) {
  Fate out;
  bool first = true;
  bool any_same = false;
  bool any_different = false;
  for (const Way& way : ways) {
    if (only_as_recorded && !way.as_recorded) {
      continue;
    }
    if (std::exchange(first, false)) {
      out.judgement = way.judgement;
      out.outcome = way.judgement.outcome;
      out.before = way.before;
    }
    out.outcome = out.outcome == way.judgement.outcome ? out.outcome : std::nullopt;
    out.before = out.before == way.before ? out.before : std::nullopt;
    any_same = any_same || way.before == way.judgement.outcome;
    any_different = any_different || (way.before && way.before != way.judgement.outcome);
  }
  out.change = any_same && any_different ? Change::kUnknown
               : any_different           ? Change::kDifferent
               : any_same                ? Change::kSame
                                         : Change::kNotCompared;
  return out;
}

Fate Fates::of(RequestLine& line) {
  if (line.from_log && groups_of_) {
    line.caller.groups = groups_of_(line.caller.user);
  }
  const policy::Snapshot* const decided = rules_that_decided(line);
  // A line in the simple form says all that there is: one caller, who is not kept.
  const PossibleCallers simple =
      line.from_log ? PossibleCallers() : possible_callers(line, true, versions(line.service), nullptr);
  const PossibleCallers& callers = line.from_log ? callers_of(line, decided) : simple;
  Unsaid unsaid = callers.unsaid;
  std::vector<std::string> targets{line.target};
  if (line.redacted) {
    targets = possible_targets(line.target, asked_query_[static_cast<std::size_t>(line.service)]);
    unsaid.query = targets.size() != 1;
    unsaid.too_much = unsaid.too_much || targets.empty() || targets.size() * callers.callers.size() > kMostPossible;
  }
  const Versions rules = versions(line.service);
  unsaid.cut = line.cut && (rules[0] != nullptr || rules[1] != nullptr);
  if (unsaid.too_much || unsaid.cut) {
    Fate out;
    out.change = other_ || line.recorded ? Change::kUnknown : Change::kNotCompared;
    out.unsaid = unsaid;
    return out;
  }
  std::vector<Way> ways;
  for (const std::string& target : targets) {
    try_target(line, target, callers, decided, ways);
  }
  Fate out = sum_up(ways, false);
  if (std::ranges::any_of(ways, &Way::as_recorded)) {
    const bool open = out.change == Change::kUnknown || !out.outcome;
    out = sum_up(ways, true);
    out.by_record = open && out.change != Change::kUnknown;
  }
  out.unsaid = unsaid;
  return out;
}

}  // namespace msp::authoring
