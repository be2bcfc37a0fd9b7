// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_convert.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <ostream>

#include "authoring/convert.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/policy_common.h"

namespace msp::cli {
namespace {

constexpr std::array<std::string_view, 5> kForms{"item", "services", "status", "profile", "local"};

authoring::ConvertTo form_named(std::string_view name) {
  return static_cast<authoring::ConvertTo>(std::ranges::find(kForms, name) - kForms.begin());
}

void write_texts(json::Writer& writer, std::string_view name, const std::vector<std::string>& texts) {
  writer.key(name).begin_array();
  for (const std::string& text : texts) {
    writer.value(text);
  }
  writer.end_array();
}

void print(const authoring::Conversion& done, bool as_json, std::ostream& out, std::ostream& err) {
  if (as_json) {
    json::Writer writer(json::Style::kPretty);
    writer.begin_object().field("document", done.document);
    write_texts(writer, "lost", done.lost);
    write_texts(writer, "notes", done.notes);
    out << std::move(writer.end_object()).take() << '\n';
    return;
  }
  out << json::to_text(done.document, json::Style::kPretty) << '\n';
  for (const std::string& lost : done.lost) {
    err << "lost: " << log::escape(lost) << '\n';
  }
  print_remarks(done.notes, err);
}

}  // namespace

int policy_convert(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  CLI::App app(
      "Writes rules in another form to stdout, and what changed on the way to stderr.\n"
      "Exit code: 0, or 2 unusable input, and what would be lost without --lossy.",
      "mspctl policy convert");
  PolicyOptions common;
  std::string file;
  std::string form;
  authoring::ConvertOptions options;
  app.add_option("FILE", file, "rules in any form; '-' is standard input")->required()->type_name("");
  app.add_option("--to", form, "the form to write")
      ->type_name("item|services|status|profile|local")
      ->check(one_of({"item", "services", "status", "profile", "local"}))
      ->required();
  app.add_option("--mode", options.mode, "mode of the rules, in place of what the text says")
      ->type_name("disabled|audit|enforce")
      ->check(one_of({"disabled", "audit", "enforce"}));
  app.add_option("--profile-id", options.profile_id, "resource id of the profile to write")->type_name("ID");
  app.add_flag("--lossy", options.lossy, "go on where something is lost, and say what");
  add_service(app, common);
  add_json(app, common);
  if (const auto code = parse_options(app, arguments, common, out, err)) {
    return *code;
  }
  options.to = form_named(form);
  options.service = common.service_wanted();
  auto read = read_input(file);
  if (!read) {
    return unusable(read.error(), common, out, err);
  }
  const auto text = authoring::RuleText::parse(*std::move(read), file == "-" ? "standard input" : file);
  if (!text) {
    return unusable(text.error(), common, out, err);
  }
  const auto source = authoring::read_rules(*text);
  if (!source) {
    return unusable(source.error(), common, out, err);
  }
  const auto done = authoring::convert(*text, *source, options);
  if (!done) {
    return unusable(done.error(), common, out, err);
  }
  print(*done, common.json, out, err);
  return kExitOk;
}

}  // namespace msp::cli
