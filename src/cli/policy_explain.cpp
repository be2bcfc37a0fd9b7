// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_explain.h"

#include <CLI/CLI.hpp>
#include <optional>
#include <ostream>

#include "authoring/explain.h"
#include "cli/caller_options.h"
#include "cli/explain_view.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

struct Options : PolicyOptions {
  std::string rules;
  CallerOptions caller;
  std::string method;
  std::string url;
  bool all = false;
};

Result<int> explain_one(const Options& options, std::ostream& out, std::ostream& err) {
  authoring::RuleSource source;
  if (!options.rules.empty()) {
    auto loaded = load_rules(options.rules, options.service_wanted());
    if (!loaded) {
      return std::move(loaded).error();
    }
    source = *std::move(loaded);
  }
  const auto url = authoring::read_url(options.url, options.service_wanted());
  if (!url) {
    return url.error();
  }
  const RuleItem* const item = options.rules.empty() ? nullptr : source.item(url->service);
  auto caller = options.caller.resolve(item);
  if (!caller) {
    return std::move(caller).error();
  }
  const policy::Snapshot snapshot = item == nullptr ? policy::Snapshot{.matching = options.matching_mode(), .rules = {}}
                                                    : source.compile(options.matching_mode());
  authoring::Asked asked;
  asked.ask(options.method, *url);
  const authoring::Explanation explanation = authoring::explain(*caller, asked, item, snapshot);
  const ExplainContext context{.explanation = explanation,
                               .caller = *caller,
                               .asked = asked,
                               .item = item,
                               .file = options.rules,
                               .form = options.rules.empty() ? "none" : to_string(source.form),
                               .matching = options.matching_mode(),
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
      "Exit code: 0 the request passes, 1 it is refused, 2 unusable input.",
      "mspctl policy explain");
  app.add_option("--rules", options.rules, "rules in any form; without them: what holds where there are none")
      ->type_name("FILE");
  add_caller_options(app, options.caller);
  add_service(app, options);
  add_matching(app, options);
  app.add_flag("--all", options.all, "show every rule, not only the nearest");
  add_json(app, options);
  app.add_option("METHOD", options.method, "of the request")->required();
  app.add_option("URL", options.url, "http://ADDRESS/PATH, or /PATH with --service")->required();
  if (const auto code = parse_options(app, arguments, options, out, err)) {
    return *code;
  }
  const auto code = explain_one(options, out, err);
  return code ? *code : unusable(code.error(), options, out, err);
}

}  // namespace msp::cli
