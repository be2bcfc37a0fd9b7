// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_cases.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <array>
#include <filesystem>
#include <optional>
#include <ostream>

#include "authoring/case_file.h"
#include "authoring/explain.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/explain_view.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

using log::escape;

struct Options : PolicyOptions {
  std::string file;
  std::string rules;
  bool all = false;
};

/// The rules, compiled for each matcher that a case asks for.
class Rules {
 public:
  explicit Rules(authoring::RuleSource source) : source_(std::move(source)) {}

  const RuleItem* item(Service service) const { return source_.item(service); }
  const std::vector<std::string>& remarks() const { return source_.remarks; }
  const policy::Snapshot& compiled(policy::Matching matching) {
    std::optional<policy::Snapshot>& place = compiled_[static_cast<std::size_t>(matching)];
    if (!place) {
      place = source_.compile(matching);
    }
    return *place;
  }

 private:
  authoring::RuleSource source_;
  std::array<std::optional<policy::Snapshot>, 3> compiled_;
};

Result<authoring::RuleSource> rules_of(const Options& options, const authoring::CaseFile& file) {
  if (!options.rules.empty()) {
    return load_rules(options.rules, file.service);
  }
  if (!file.rules_path.empty()) {
    // Beside the cases, wherever the tool is run from.
    const std::filesystem::path beside = std::filesystem::path(options.file == "-" ? "" : options.file).parent_path();
    return load_rules(beside / file.rules_path, file.service);
  }
  if (file.rules_text.empty()) {
    return authoring::RuleSource();
  }
  auto read = authoring::read_rules(file.rules_text, options.file, "/rules");
  if (read && file.service) {
    read->assign(*file.service);
  }
  return read;
}

class Report {
 public:
  Report(const Options& options, std::ostream& out) : options_(options), out_(out), json_(json::Style::kPretty) {
    json_.begin_object().key("cases").begin_array();
  }

  /// `nearest`: the nearest miss, where there is a difference.
  void add(const authoring::Case& one, const authoring::Judgement& found, const std::string& difference,
           const std::string& nearest) {
    const bool ok = difference.empty();
    ++(ok ? passed_ : failed_);
    if (options_.json) {
      json_.begin_object().field("name", one.name).field("pointer", one.pointer).field("ok", ok);
      write_judgement(json_, found);
      if (!ok) {
        json_.field("difference", difference).field("nearest", nearest);
      }
      json_.end_object();
      return;
    }
    if (!ok) {
      out_ << fmt::format("FAIL  {}: {}\n      {} ({})\n      {}\n      nearest: {}\n", escape(one.name),
                          escape(difference), escape(one.method + " " + one.url.target), one.pointer,
                          judgement_line(found), nearest);
    } else if (options_.all) {
      out_ << fmt::format("ok    {}: {}\n", escape(one.name), judgement_line(found));
    }
  }

  int finish() && {
    if (options_.json) {
      json_.end_array().field("passed", passed_).field("failed", failed_).end_object();
      out_ << std::move(json_).take() << '\n';
    } else {
      out_ << fmt::format("{} cases: {} ok, {} failed\n", passed_ + failed_, passed_, failed_);
    }
    return failed_ == 0 ? kExitOk : kExitFindings;
  }

 private:
  const Options& options_;
  std::ostream& out_;
  json::Writer json_;
  std::size_t passed_ = 0;
  std::size_t failed_ = 0;
};

Result<int> run_cases(const Options& options, std::ostream& out, std::ostream& err) {
  auto text = read_input(options.file);
  if (!text) {
    return std::move(text).error();
  }
  const auto file = authoring::read_cases(*text, options.file);
  if (!file) {
    return file.error();
  }
  auto source = rules_of(options, *file);
  if (!source) {
    return std::move(source).error();
  }
  Rules rules(*std::move(source));
  print_remarks(rules.remarks(), err);
  Report report(options, out);
  authoring::Asked asked;
  for (const authoring::Case& one : file->cases) {
    const policy::Snapshot& snapshot = rules.compiled(one.matching.value_or(file->matching));
    asked.ask(one.method, one.url);
    const identity::ConnectionIdentity caller = authoring::make_caller(one.caller);
    const authoring::Judgement found = authoring::judge(caller, asked, snapshot);
    const std::string difference = authoring::difference(one.expected, found);
    // Only a case that fails is worth a look at every rule.
    report.add(one, found, difference,
               difference.empty() ? std::string()
                                  : nearest_miss(explain(caller, asked, rules.item(one.url.service), snapshot)));
  }
  return std::move(report).finish();
}

}  // namespace

int policy_cases(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Options options;
  CLI::App app(
      "Runs the cases that an author keeps beside the rules.\n"
      "Exit code: 0 all hold, 1 some do not, 2 unusable input.",
      "mspctl policy test");
  app.add_option("FILE", options.file, "cases: docs/mspctl-policy.md")->required()->type_name("");
  app.add_option("--rules", options.rules, "these rules instead of those that the file names")->type_name("FILE");
  app.add_flag("--all", options.all, "name the cases that hold, too");
  add_json(app, options);
  if (const auto code = parse_options(app, arguments, options, out, err)) {
    return *code;
  }
  const auto code = run_cases(options, out, err);
  return code ? *code : unusable(code.error(), options, out, err);
}

}  // namespace msp::cli
