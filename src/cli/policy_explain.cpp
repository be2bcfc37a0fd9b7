// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_explain.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <ostream>
#include <utility>

#include "authoring/explain.h"
#include "cli/agent_socket.h"
#include "cli/caller_options.h"
#include "cli/explain_view.h"
#include "cli/live_rules.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

struct Options : PolicyOptions {
  std::string rules;
  bool no_rules = false;
  bool matching_said = false;
  AgentAddress agent;
  CallerOptions caller;
  std::string method;
  std::string url;
  bool all = false;
};

/// The rules to explain by, and what is told of them.
struct Rules {
  authoring::RuleSource source;
  policy::Matching matching = policy::Matching::kEnforce;
  std::string file;  ///< empty: without rules
  std::string form = "none";
  std::string origin = {};
};

Result<Rules> rules_for(const Options& options, Service asked) {
  Rules out{.source = {}, .matching = options.matching_mode(), .file = options.rules};
  if (options.no_rules) {
    return out;
  }
  if (!options.rules.empty()) {
    auto loaded = load_rules(options.rules, options.service_wanted());
    if (!loaded) {
      return std::move(loaded).error();
    }
    out.source = *std::move(loaded);
    out.form = to_string(out.source.form);
    return out;
  }
  auto live = live_rules(options.agent, "mspctl policy explain");
  if (!live) {
    Error error = std::move(live).error();
    error.hint += "; or say --rules FILE";
    return error;
  }
  out.source = std::move(live->source);
  std::ranges::move(live->remarks, std::back_inserter(out.source.remarks));
  out.matching = options.matching_said ? out.matching : live->matching;
  out.file = "the agent that runs";
  out.form = to_string(out.source.form);
  out.origin = fmt::format("generation {}, {}", live->generation, live->origin[static_cast<std::size_t>(asked)]);
  return out;
}

Result<int> explain_one(const Options& options, std::ostream& out, std::ostream& err) {
  const auto url = authoring::read_url(options.url, options.service_wanted());
  if (!url) {
    return url.error();
  }
  auto rules = rules_for(options, url->service);
  if (!rules) {
    return std::move(rules).error();
  }
  const authoring::RuleSource& source = rules->source;
  const RuleItem* const item = rules->file.empty() ? nullptr : source.item(url->service);
  auto caller = options.caller.resolve(item);
  if (!caller) {
    return std::move(caller).error();
  }
  const policy::Snapshot snapshot =
      item == nullptr ? policy::Snapshot{.matching = rules->matching, .rules = {}} : source.compile(rules->matching);
  authoring::Asked asked;
  asked.ask(options.method, *url);
  const authoring::Explanation explanation = authoring::explain(*caller, asked, item, snapshot);
  const ExplainContext context{.explanation = explanation,
                               .caller = *caller,
                               .asked = asked,
                               .item = item,
                               .file = rules->file,
                               .form = rules->form,
                               .origin = rules->origin,
                               .matching = rules->matching,
                               .all_rules = options.all};
  print_remarks(source.remarks, err);
  (options.json ? explain_json : explain_view)(context, out);
  if (!explanation.agrees()) {
    return bug("the steps and the decision do not agree: please report this with the rules and the request");
  }
  return explanation.judgement.outcome == authoring::Outcome::kDeny ? kExitFindings : kExitOk;
}

}  // namespace

int policy_explain(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Options options;
  CLI::App app(
      "What is decided about one request, and for each rule why it did or did not match, nearest miss first.\n"
      "Exit code: 0 the request passes, 1 it is refused, 2 unusable input, or no rules to explain by.",
      "mspctl policy explain");
  CLI::Option* const file =
      app.add_option("--rules", options.rules, "rules in any form; without it: those in force in the agent that runs")
          ->type_name("FILE");
  CLI::Option* const none = app.add_flag("--no-rules", options.no_rules, "what holds where there are no rules");
  none->excludes(file);
  add_caller_options(app, options.caller);
  add_service(app, options);
  add_matching(app, options);
  add_agent_options(app, options.agent);
  app.add_flag("--all", options.all, "show every rule, not only the nearest");
  add_json(app, options);
  app.add_option("METHOD", options.method, "of the request, as in: GET http://169.254.169.254/metadata/instance")
      ->required()
      ->type_name("");
  app.add_option("URL", options.url, "http://ADDRESS/PATH, or /PATH with --service")->required()->type_name("");
  if (const auto code = parse_options(app, arguments, options, out, err)) {
    return *code;
  }
  options.matching_said = app.count("--matching") > 0;
  const auto code = explain_one(options, out, err);
  return code ? *code : unusable(code.error(), options, out, err);
}

}  // namespace msp::cli
