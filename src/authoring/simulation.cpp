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

/// Texts may hold any byte but these lines never mix: sizes go first.
std::string key_of(const SimulationGroup& group) {
  const auto number = [](std::optional<Outcome> outcome) { return outcome ? static_cast<int>(*outcome) : -1; };
  std::string out = fmt::format("{} {} {} {} ", static_cast<int>(group.service), number(group.outcome),
                                number(group.before), static_cast<int>(group.change));
  for (const std::string* text :
       {&group.user, &group.exe, &group.method, &group.path, &group.code, &group.rule, &group.unsaid}) {
    out += fmt::format("{}:", text->size());
    out += *text;
  }
  return out;
}

}  // namespace

Simulation::Simulation(policy::Snapshot rules, std::optional<policy::Snapshot> other,
                       std::function<std::vector<std::string>(const std::string& user)> groups_of,
                       std::size_t max_groups)
    : fates_(std::move(rules), std::move(other), std::move(groups_of)), max_groups_(max_groups) {}

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

void Simulation::count(const RequestLine& line, const Fate& fate) {
  counts_.changed += fate.change == Change::kDifferent ? 1 : 0;
  counts_.unknown += fate.change == Change::kUnknown ? 1 : 0;
  counts_.not_compared += fate.change == Change::kNotCompared ? 1 : 0;
  counts_.by_record += fate.by_record ? 1 : 0;
  counts_.cut += line.cut ? 1 : 0;
  counts_.redacted += line.redacted ? 1 : 0;
  counts_.without_groups += fate.unsaid.groups ? 1 : 0;
  counts_.without_place += fate.unsaid.place ? 1 : 0;
  counts_.without_executable += fate.unsaid.executable ? 1 : 0;
}

void Simulation::request(RequestLine& line) {
  ++counts_.requests;
  const Fate fate = fates_.of(line);
  count(line, fate);
  SimulationGroup group;
  group.service = line.service;
  group.user = line.caller.user.empty() ? fmt::format("uid {}", line.caller.uid.value_or(0)) : line.caller.user;
  group.exe = std::move(line.caller.exe);
  group.method = std::move(line.method);
  group.path = line.target.substr(0, line.target.find('?'));
  group.outcome = fate.outcome;
  if (fate.outcome) {
    group.code = fate.judgement.code;
    group.rule = rule_text(fate.judgement);
  }
  group.before = fate.before;
  group.change = fate.change;
  if (!fate.outcome || fate.change == Change::kUnknown) {
    group.unsaid = fate.unsaid.text();
  }
  std::string key = key_of(group);
  if (groups_.size() >= max_groups_ && !groups_.contains(key)) {
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
    // Like a refusal: it may be one.
    const Outcome outcome = group.outcome.value_or(Outcome::kDeny);
    return std::tuple(!group.changed(), group.change != Change::kUnknown, -static_cast<int>(outcome), ~group.count);
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
