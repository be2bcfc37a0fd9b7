// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_lint.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "authoring/lint.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/policy_common.h"
#include "cli/this_machine.h"

namespace msp::cli {
namespace {

using authoring::Finding;
using authoring::LintReport;
using authoring::Severity;

struct Options {
  PolicyOptions common;
  std::string file;
  std::string target = "openmsp";
  bool system = false;
  bool strict = false;
  bool notes = false;
};

int exit_code(const LintReport& report, const Options& options) {
  if (report.unreadable) {
    return kExitUnusable;
  }
  const bool findings = report.count(Severity::kError) > 0 || (options.strict && report.count(Severity::kWarning) > 0);
  return findings ? kExitFindings : kExitOk;
}

void print_json(const LintReport& report, const Options& options, std::ostream& out) {
  json::Writer writer(json::Style::kPretty);
  writer.begin_object().field("file", options.file).field("unreadable", report.unreadable);
  writer.field("errors", report.count(Severity::kError)).field("warnings", report.count(Severity::kWarning));
  writer.field("notes", report.count(Severity::kNote));
  writer.key("findings").begin_array();
  for (const Finding& finding : report.findings) {
    writer.begin_object().field("severity", to_string(finding.severity)).field("code", finding.code);
    writer.field("pointer", finding.pointer);
    writer.field("line", finding.place.line).field("column", finding.place.column);
    writer.field("text", finding.text).field("remedy", finding.remedy).end_object();
  }
  writer.end_array().key("remarks").begin_array();
  for (const std::string& remark : report.remarks) {
    writer.value(remark);
  }
  out << std::move(writer.end_array().end_object()).take() << '\n';
}

void print_text(const LintReport& report, const Options& options, std::ostream& out) {
  std::size_t hidden = report.count(Severity::kNote);
  std::size_t beyond = report.count(Severity::kError) + report.count(Severity::kWarning) + hidden;
  beyond -= report.findings.size();
  for (const Finding& finding : report.findings) {
    if (finding.severity == Severity::kNote && !options.notes) {
      continue;
    }
    out << fmt::format("{}:{}:{}: {}: {} [{}]\n", log::escape(options.file), finding.place.line, finding.place.column,
                       to_string(finding.severity), log::escape(finding.text), finding.code);
    if (!finding.remedy.empty()) {
      out << "  -> " << log::escape(finding.remedy) << '\n';
    }
  }
  if (beyond > 0) {
    out << fmt::format("{} more findings are counted only\n", beyond);
  }
  hidden = options.notes ? 0 : hidden;
  out << fmt::format("{}: {} errors, {} warnings, {} notes{}{}\n", log::escape(options.file),
                     report.count(Severity::kError), report.count(Severity::kWarning), report.count(Severity::kNote),
                     hidden > 0 ? " (--notes shows them)" : "",
                     report.unreadable ? "; the agent would refuse to read it" : "");
}

}  // namespace

int policy_lint(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  CLI::App app(
      "Finds what an author of rules did not mean.\n"
      "Exit code: 0, 1 errors (with --strict warnings, too), 2 unusable input.",
      "mspctl policy lint");
  Options options;
  app.add_option("FILE", options.file, "rules in any form; '-' is standard input")->required()->type_name("");
  app.add_option("--target", options.target, "the agent that will read them")
      ->type_name("openmsp|field")
      ->check(one_of({"openmsp", "field"}))
      ->capture_default_str();
  app.add_flag("--system", options.system, "compare identities with the users, groups and programs of this machine");
  app.add_flag("--notes", options.notes, "show notes too: where the two readings of the rules differ, and the like");
  app.add_flag("--strict", options.strict, "exit code 1 for warnings too");
  add_matching(app, options.common);
  add_json(app, options.common);
  if (const auto code = parse_options(app, arguments, options.common, out, err)) {
    return *code;
  }
  auto text = read_input(options.file);
  if (!text) {
    return unusable(text.error(), options.common, out, err);
  }
  auto parsed = authoring::RuleText::parse(*std::move(text), options.file == "-" ? "standard input" : options.file);
  if (!parsed) {
    return unusable(parsed.error(), options.common, out, err);
  }
  ThisMachine machine;
  const auto report = authoring::lint(
      *parsed, {.target = options.target == "field" ? authoring::Target::kField : authoring::Target::kOpenMsp,
                .matching = options.common.matching_mode(),
                .machine = options.system ? &machine : nullptr});
  if (!report) {
    return unusable(report.error(), options.common, out, err);
  }
  if (options.common.json) {
    print_json(*report, options, out);
  } else {
    print_remarks(report->remarks, err);
    print_text(*report, options, out);
  }
  return exit_code(*report, options);
}

}  // namespace msp::cli
