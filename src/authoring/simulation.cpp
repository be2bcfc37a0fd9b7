// SPDX-License-Identifier: Apache-2.0
#include "authoring/simulation.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace msp::authoring {
namespace {

std::string rule_text(const Judgement& judgement) {
  if (judgement.outcome == Outcome::kPermit && judgement.ground != policy::Ground::kRule) {
    return std::string(policy::to_string(judgement.ground));
  }
  const policy::RuleNames& names = judgement.names;
  if (names.privilege.empty()) {
    return {};
  }
  if (names.identity.empty()) {
    return std::string(names.privilege);
  }
  return fmt::format("{} / {} / {}{}{}", names.privilege, names.role, names.identity,
                     judgement.missed_field.empty() ? "" : ", not its ", judgement.missed_field);
}

bool names_groups(const policy::RuleSet& rules) {
  return std::ranges::any_of(rules.identities(),
                             [](const policy::IdentityRule& rule) { return rule.group.has_value(); });
}

/// Texts may hold any byte but these lines never mix: sizes go first.
std::string key_of(const SimulationGroup& group) {
  std::string out = fmt::format("{} {} {} ", static_cast<int>(group.service), static_cast<int>(group.outcome),
                                group.before ? static_cast<int>(*group.before) : -1);
  for (const std::string* text : {&group.user, &group.exe, &group.method, &group.path, &group.code, &group.rule}) {
    out += fmt::format("{}:", text->size());
    out += *text;
  }
  return out;
}

}  // namespace

Simulation::Simulation(policy::Snapshot rules, std::optional<policy::Snapshot> other,
                       std::function<std::vector<std::string>(const std::string& user)> groups_of)
    : rules_(std::move(rules)), other_(std::move(other)), groups_of_(std::move(groups_of)) {}

void Simulation::begin_file(std::string name) {
  file_ = std::move(name);
  line_ = 0;
}

void Simulation::add(std::string_view line, bool complete) {
  ++counts_.lines;
  ++line_;
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
    return;
  }
  RequestLine read = read_request_line(line, service_);
  switch (read.kind) {
    case RequestLine::Kind::kRequest:
      request(read);
      break;
    case RequestLine::Kind::kEvent:
      ++counts_.events;
      break;
    case RequestLine::Kind::kNotForRules:
      ++not_for_rules_[read.why];
      break;
    case RequestLine::Kind::kUnusable:
      if (!complete) {
        counts_.torn = true;
        read.why = "the last line is incomplete: " + read.why;
      }
      unusable(std::move(read.why));
      break;
  }
}

void Simulation::add_unreadable(std::string why) {
  ++counts_.lines;
  ++line_;
  unusable(std::move(why));
}

void Simulation::unusable(std::string why) {
  ++counts_.unusable;
  if (bad_.size() < kMaxBad) {
    bad_.push_back({.file = file_, .line = line_, .why = std::move(why)});
  }
}

void Simulation::count_unknowns(const RequestLine& line) {
  counts_.cut += line.cut ? 1 : 0;
  counts_.redacted += line.redacted ? 1 : 0;
  const policy::RuleSet* const rules = rules_.of(line.service).get();
  if (line.from_log && rules != nullptr) {
    counts_.without_groups += line.caller.groups.empty() && names_groups(*rules) ? 1 : 0;
    counts_.without_place += rules->names_cgroups() ? 1 : 0;
  }
}

void Simulation::request(RequestLine& line) {
  ++counts_.requests;
  if (line.from_log && groups_of_) {
    line.caller.groups = groups_of_(line.caller.user);
  }
  count_unknowns(line);
  const identity::ConnectionIdentity caller = make_caller(line.caller);
  if (line.host.empty()) {
    asked_.ask(line.service, line.method, line.target);
  } else {
    asked_.ask(line.method, {.service = line.service, .host = line.host, .target = line.target});
  }
  const Judgement judgement = judge(caller, asked_, rules_);
  SimulationGroup group;
  group.service = line.service;
  group.user = line.caller.user.empty() ? fmt::format("uid {}", line.caller.uid.value_or(0)) : line.caller.user;
  group.exe = std::move(line.caller.exe);
  group.method = std::move(line.method);
  group.path = line.target.substr(0, line.target.find('?'));
  group.outcome = judgement.outcome;
  group.code = judgement.code;
  group.rule = rule_text(judgement);
  group.before = other_ ? std::optional(judge(caller, asked_, *other_).outcome) : line.recorded;
  counts_.changed += group.changed() ? 1 : 0;
  counts_.not_compared += group.before ? 0 : 1;
  std::string key = key_of(group);
  if (groups_.size() >= kMaxGroups && !groups_.contains(key)) {
    group.path = "(other paths)";
    group.exe = group.user = group.method = "(others)";
    key = key_of(group);
  }
  SimulationGroup& held = groups_.try_emplace(std::move(key), std::move(group)).first->second;
  ++held.count;
}

std::vector<SimulationGroup> Simulation::groups() const {
  std::vector<SimulationGroup> out;
  out.reserve(groups_.size());
  for (const auto& [key, group] : groups_) {
    out.push_back(group);
  }
  const auto rank = [](const SimulationGroup& group) {
    return std::tuple(!group.changed(), -static_cast<int>(group.outcome), ~group.count);
  };
  // Those that rank alike keep the order of their keys.
  std::vector<std::size_t> order(out.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    order[i] = i;
  }
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::tuple(rank(out[i]), i); });
  std::vector<SimulationGroup> sorted;
  sorted.reserve(out.size());
  for (const std::size_t i : order) {
    sorted.push_back(std::move(out[i]));
  }
  return sorted;
}

}  // namespace msp::authoring
