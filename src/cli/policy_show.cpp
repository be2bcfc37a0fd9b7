// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_show.h"

#include <CLI/CLI.hpp>
#include <ostream>

#include "base/json.h"
#include "base/rules_document.h"
#include "cli/live_rules.h"
#include "cli/policy_common.h"

namespace msp::cli {

int policy_show(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  CLI::App app(
      "Prints the rules in force, as the agent of this machine has them, in a form that all verbs read:\n"
      "mspctl policy show | mspctl policy lint -\n"
      "Exit code: 0, or 2 where no agent answers, or the host has not said any rules to it yet.",
      "mspctl policy show");
  PolicyOptions common;
  AgentAddress agent;
  add_agent_options(app, agent);
  add_json(app, common);
  if (const auto code = parse_options(app, arguments, common, out, err)) {
    return *code;
  }
  const auto rules = live_rules(agent, "mspctl policy show");
  const auto tree = rules ? json::parse(rules->text, rule_text_limits(Source::kConfig)) : rules.error();
  if (!tree) {
    return unusable(tree.error(), common, out, err);
  }
  print_remarks(rules->remarks, err);
  out << json::to_text(*tree, json::Style::kPretty) << '\n';
  return kExitOk;
}

}  // namespace msp::cli
