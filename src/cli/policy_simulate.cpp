// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_simulate.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <ostream>

#include "authoring/simulation.h"
#include "cli/line_stream.h"
#include "cli/local_groups.h"
#include "cli/policy_common.h"
#include "cli/simulate_view.h"

namespace msp::cli {
namespace {

constexpr std::size_t kUsualRows = 40;

struct Options : PolicyOptions {
  std::vector<std::string> requests;
  std::string rules;
  std::string against;
  bool expect_unchanged = false;
  bool local_groups = false;
  bool all = false;
};

Result<policy::Snapshot> compiled(const std::string& path, const Options& options, std::ostream& err) {
  auto source = load_rules(path, options.service_wanted());
  if (!source) {
    return std::move(source).error();
  }
  if (source->single) {
    return config_error(fmt::format("{} does not say of which service its rules are", path),
                        "say --service imds or wireserver");
  }
  print_remarks(source->remarks, err);
  policy::Snapshot out = source->compile(options.matching_mode());
  for (const auto& rules : out.rules) {
    if (rules && !rules->unusable().empty()) {
      print_remarks({fmt::format("{}: these rules cannot be used and deny everything: {}", path, rules->unusable())},
                    err);
    }
  }
  return out;
}

bool reads_twice_from_standard_input(const Options& options) {
  return std::ranges::count(options.requests, "-") + (options.rules == "-") + (options.against == "-") > 1;
}

Error nothing_to_decide(const authoring::Simulation& simulation) {
  std::string what = fmt::format("none of {} lines is a request that rules could decide", simulation.counts().lines);
  if (!simulation.bad().empty()) {
    const auto& bad = simulation.bad().front();
    what += fmt::format("; {}, line {}: {}", bad.file, bad.line, bad.why);
  }
  return config_error(std::move(what), "give an audit log of the agent, or requests as in docs/mspctl-policy.md");
}

Result<int> simulate(const Options& options, std::ostream& out, std::ostream& err) {
  if (reads_twice_from_standard_input(options)) {
    return config_error("'-' is named twice", "standard input can be read once");
  }
  auto rules = compiled(options.rules, options, err);
  if (!rules) {
    return std::move(rules).error();
  }
  std::optional<policy::Snapshot> other;
  if (!options.against.empty()) {
    auto read = compiled(options.against, options, err);
    if (!read) {
      return std::move(read).error();
    }
    other = *std::move(read);
  }
  LocalGroups groups;
  std::function<std::vector<std::string>(const std::string&)> groups_of;
  if (options.local_groups) {
    groups_of = [&](const std::string& user) { return groups.of(user); };
  }
  authoring::Simulation simulation(*std::move(rules), std::move(other), std::move(groups_of));
  simulation.assume(options.service_wanted());
  const LineSink sink{
      .line = [&](std::string_view line, bool complete) { simulation.add(line, complete); },
      .too_long = [&] { simulation.add_unreadable(fmt::format("longer than {} bytes", kMaxLineBytes)); }};
  for (const std::string& path : options.requests) {
    simulation.begin_file(path);
    if (auto read = each_line(path, sink); !read) {
      return std::move(read).error();
    }
  }
  if (simulation.counts().requests == 0) {
    return nothing_to_decide(simulation);
  }
  const SimulateContext context{.simulation = simulation,
                                .rules = options.rules,
                                .against = options.against,
                                .most_rows = options.all ? SIZE_MAX : kUsualRows};
  out << (options.json ? simulate_json(context) + "\n" : simulate_view(context));
  // What cannot be told may be an outage: it is no less a finding.
  const auto& counts = simulation.counts();
  const bool all_alike = counts.changed == 0 && counts.unknown == 0;
  return !all_alike && (options.expect_unchanged || !options.against.empty()) ? kExitFindings : kExitOk;
}

}  // namespace

int policy_simulate(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Options options;
  CLI::App app(
      "What rules would do to requests that were made, and what that changes.\n"
      "Exit code: 0; 1 with --against if any outcome differs or may differ, or with --expect-unchanged\n"
      "if one differs or may differ from the recorded; 2 unusable input.",
      "mspctl policy simulate");
  app.add_option("--requests", options.requests, "audit logs of the agent, or requests in the simple form")
      ->type_name("FILE")
      ->required();
  app.add_option("--rules", options.rules, "rules in any form")->type_name("FILE")->required();
  app.add_option("--against", options.against, "another version of the rules, to compare with")->type_name("FILE");
  app.add_flag("--expect-unchanged", options.expect_unchanged,
               "an outcome that differs from the recorded, or may differ, is a finding");
  app.add_flag("--local-groups", options.local_groups, "groups of a log's users from this machine's database");
  add_service(app, options);
  add_matching(app, options);
  app.add_flag("--all", options.all, "show every row");
  add_json(app, options);
  if (const auto code = parse_options(app, arguments, options, out, err)) {
    return *code;
  }
  const auto code = simulate(options, out, err);
  return code ? *code : unusable(code.error(), options, out, err);
}

}  // namespace msp::cli
