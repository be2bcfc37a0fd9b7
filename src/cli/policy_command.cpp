// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_command.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ostream>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/policy_cases.h"
#include "cli/policy_common.h"
#include "cli/policy_convert.h"
#include "cli/policy_diff.h"
#include "cli/policy_explain.h"
#include "cli/policy_lint.h"
#include "cli/policy_show.h"
#include "cli/policy_simulate.h"

namespace msp::cli {
namespace {

struct Verb {
  std::string_view name;
  std::string_view help;
  int (*run)(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
};

constexpr std::array kVerbs{
    Verb{.name = "show", .help = "the rules in force, as the agent of this machine has them", .run = &policy_show},
    Verb{.name = "explain", .help = "what is decided about one request, and why", .run = &policy_explain},
    Verb{.name = "simulate", .help = "what rules would do to requests that were made", .run = &policy_simulate},
    Verb{.name = "test", .help = "cases that an author keeps beside the rules", .run = &policy_cases},
    Verb{.name = "lint", .help = "what an author of rules did not mean", .run = &policy_lint},
    Verb{.name = "diff", .help = "who may ask for what under one version and not another", .run = &policy_diff},
    Verb{.name = "convert", .help = "rules in another of the forms in which they are kept", .run = &policy_convert},
};

void print_help(std::ostream& out) {
  out << "mspctl policy: tools for allowlists\n\nUsage: mspctl policy VERB [OPTIONS]\n\n";
  for (const Verb& verb : kVerbs) {
    out << fmt::format("  {:10}{}\n", verb.name, verb.help);
  }
  out << "\nRules are read in every form in which they are kept; '-' is standard input: docs/mspctl-policy.md\n"
         "Only show, and explain without --rules, ask the agent of this machine, and need root for it.\n"
         "Exit code: 0 ok, 1 findings, 2 unusable input.\n\n"
         "  mspctl policy VERB --help    options of a verb\n";
}

int no_verb(std::string what, const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  PolicyOptions options;
  options.json = std::ranges::find(arguments, "--json") != arguments.end();
  const int code = unusable(config_error(std::move(what), "see mspctl policy --help"), options, out, err);
  if (!options.json) {
    err << '\n';
    print_help(err);
  }
  return code;
}

}  // namespace

int policy_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  // Where the agent is may have been said before "policy", and stands before the verb then.
  const std::size_t at = place_of_verb(arguments);
  if (at == arguments.size()) {
    return no_verb("the verb is missing", arguments, out, err);
  }
  const std::string& first = arguments[at];
  if (first == "--help" || first == "-h" || first == "help") {
    print_help(out);
    return kExitOk;
  }
  for (const Verb& verb : kVerbs) {
    if (verb.name == first) {
      return verb.run(without_verb(arguments, at), out, err);
    }
  }
  return no_verb(first == "--json" ? "the verb is missing" : fmt::format("there is no verb '{}'", log::escape(first)),
                 arguments, out, err);
}

}  // namespace msp::cli
