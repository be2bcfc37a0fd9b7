// SPDX-License-Identifier: Apache-2.0
#include "cli/simulate_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <optional>

#include "base/json.h"
#include "base/log.h"

namespace msp::cli {
namespace {

using authoring::Change;
using authoring::Simulation;
using authoring::SimulationGroup;
using log::escape;

constexpr std::size_t kBadLinesShown = 10;

template <class... A>
void line(std::string& out, fmt::format_string<A...> format, A&&... arguments) {
  fmt::format_to(std::back_inserter(out), format, std::forward<A>(arguments)...);
  out += '\n';
}

std::uint64_t total(const std::vector<SimulationGroup>& groups, std::optional<authoring::Outcome> outcome) {
  std::uint64_t out = 0;
  for (const SimulationGroup& group : groups) {
    out += group.outcome == outcome ? group.count : 0;
  }
  return out;
}

std::string_view fate_text(std::optional<authoring::Outcome> outcome) {
  return outcome ? to_string(*outcome) : std::string_view("?");
}

std::string why_text(const SimulationGroup& group) {
  if (!group.unsaid.empty()) {
    return "not known: " + group.unsaid;
  }
  return group.code.empty()   ? group.rule
         : group.rule.empty() ? group.code
                              : fmt::format("{}: {}", group.code, group.rule);
}

/// `only`: those with this change, and what they were before.
void show_table(std::string& out, const std::vector<SimulationGroup>& groups, std::size_t most,
                std::optional<Change> only = std::nullopt) {
  line(out, "  {:>9}  {:16} {:10} {:12} {:24} {:<32} {}", "count", only ? "before -> now" : "outcome", "service",
       "user", "executable", "request", "rule");
  std::size_t rows = 0;
  for (const SimulationGroup& group : groups) {
    if (only && group.change != *only) {
      continue;
    }
    if (++rows > most) {
      continue;
    }
    const std::string fate = only ? fmt::format("{} -> {}", fate_text(group.before), fate_text(group.outcome))
                                  : std::string(fate_text(group.outcome));
    line(out, "  {:>9}  {:16} {:10} {:12} {:24} {:<32} {}", group.count, fate, to_string(group.service),
         escape(group.user), group.exe.empty() ? "unknown" : escape(group.exe), escape(group.method + " " + group.path),
         escape(why_text(group)));
  }
  if (rows > most) {
    line(out, "  and {} more rows (--all shows them)", rows - most);
  }
}

void show_doubts(std::string& out, const Simulation& simulation) {
  const Simulation::Counts& counts = simulation.counts();
  if (counts.by_record != 0) {
    line(
        out,
        "note: of {} requests it is known only since the record names the rule that decided: the rules of that id here "
        "are taken for those that decided",
        counts.by_record);
  }
  const auto unsaid = [&](std::uint64_t count, std::string_view what, std::string_view remedy) {
    if (count != 0) {
      line(out, "note: of {} requests the log does not say {}, and the rules ask for it{}", count, what, remedy);
    }
  };
  unsaid(counts.without_groups, "the groups", " (--local-groups asks this machine)");
  unsaid(counts.without_place, "unit, cgroup or container", "");
  unsaid(counts.without_executable, "whether the executable is a file that has another path, too", "");
  if (counts.redacted != 0) {
    line(out, "note: {} requests have a part of the target that the log does not keep", counts.redacted);
  }
  if (counts.cut != 0) {
    line(out, "note: {} requests have a text of the longest size that the log keeps; it may have been cut", counts.cut);
  }
}

void show_lines(std::string& out, const Simulation& simulation) {
  const Simulation::Counts& counts = simulation.counts();
  line(out, "{} lines: {} requests, {} events of the log, {} unusable", counts.lines, counts.requests, counts.events,
       counts.unusable);
  for (const auto& [why, count] : simulation.not_for_rules()) {
    line(out, "  {} records that no rule decides: {}", count, escape(why));
  }
  const auto& bad = simulation.bad();
  for (std::size_t i = 0; i < std::min(kBadLinesShown, bad.size()); ++i) {
    line(out, "  {}, line {}: {}", escape(bad[i].file), bad[i].line, escape(bad[i].why));
  }
  if (counts.unusable > kBadLinesShown) {
    line(out, "  and {} unusable lines more (--json names up to {})", counts.unusable - kBadLinesShown,
         Simulation::kMaxBad);
  }
}

std::string_view json_text(std::optional<authoring::Outcome> outcome) {
  return outcome ? to_string(*outcome) : std::string_view("unknown");
}

void write_group(json::Writer& writer, const SimulationGroup& group) {
  writer.begin_object()
      .field("count", group.count)
      .field("service", to_string(group.service))
      .field("user", group.user)
      .field("exe", group.exe)
      .field("method", group.method)
      .field("path", group.path)
      .field("outcome", json_text(group.outcome))
      .field("code", group.code)
      .field("rule", group.rule);
  if (group.change != Change::kNotCompared) {
    writer.field("before", json_text(group.before));
  }
  writer.field("change", to_string(group.change)).field("changed", group.changed());
  if (!group.unsaid.empty()) {
    writer.field("unsaid", group.unsaid);
  }
  writer.end_object();
}

void write_lines(json::Writer& writer, const Simulation& simulation) {
  const Simulation::Counts& counts = simulation.counts();
  writer.field("lines", counts.lines)
      .field("requests", counts.requests)
      .field("events", counts.events)
      .field("unusable", counts.unusable)
      .field("torn", counts.torn)
      .field("changed", counts.changed)
      .field("cannotTell", counts.unknown)
      .field("byRecord", counts.by_record)
      .field("notCompared", counts.not_compared)
      .field("withoutGroups", counts.without_groups)
      .field("withoutPlace", counts.without_place)
      .field("withoutExecutable", counts.without_executable)
      .field("redacted", counts.redacted)
      .field("maybeCut", counts.cut);
  writer.key("notForRules").begin_object();
  for (const auto& [why, count] : simulation.not_for_rules()) {
    writer.field(why, count);
  }
  writer.end_object().key("unusableLines").begin_array();
  for (const Simulation::Bad& bad : simulation.bad()) {
    writer.begin_object().field("file", bad.file).field("line", bad.line).field("why", bad.why).end_object();
  }
  writer.end_array();
}

}  // namespace

std::string simulate_view(const SimulateContext& context) {
  const std::vector<SimulationGroup> groups = context.simulation.groups();
  const Simulation::Counts& counts = context.simulation.counts();
  std::string out;
  show_lines(out, context.simulation);
  using enum authoring::Outcome;
  line(out, "");
  const std::uint64_t open = total(groups, std::nullopt);
  line(out, "with {}: {} permit, {} audit, {} deny{}", escape(context.rules), total(groups, kPermit),
       total(groups, kAudit), total(groups, kDeny), open == 0 ? "" : fmt::format(", {} cannot be told", open));
  show_table(out, groups, context.most_rows);
  line(out, "");
  const std::string than = context.against.empty() ? "what is recorded" : escape(context.against);
  line(out, "{} requests end differently than with {}{}", counts.changed, than,
       counts.not_compared == 0 ? ""
                                : fmt::format(" ({} cannot be compared: nothing that rules decide is recorded of them)",
                                              counts.not_compared));
  if (counts.changed != 0) {
    show_table(out, groups, context.most_rows, Change::kDifferent);
  }
  if (counts.unknown != 0) {
    line(out, "");
    line(out, "{} requests: cannot tell whether they end differently; the log does not say enough", counts.unknown);
    show_table(out, groups, context.most_rows, Change::kUnknown);
  }
  show_doubts(out, context.simulation);
  return out;
}

std::string simulate_json(const SimulateContext& context) {
  const std::vector<SimulationGroup> groups = context.simulation.groups();
  json::Writer writer(json::Style::kPretty);
  writer.begin_object().field("rules", context.rules);
  if (!context.against.empty()) {
    writer.field("against", context.against);
  }
  write_lines(writer, context.simulation);
  writer.key("outcomes").begin_object();
  for (const auto outcome : {authoring::Outcome::kPermit, authoring::Outcome::kAudit, authoring::Outcome::kDeny}) {
    writer.field(to_string(outcome), total(groups, outcome));
  }
  writer.field("unknown", total(groups, std::nullopt));
  writer.end_object().key("groups").begin_array();
  for (const SimulationGroup& group : groups) {
    write_group(writer, group);
  }
  writer.end_array().end_object();
  return std::move(writer).take();
}

}  // namespace msp::cli
