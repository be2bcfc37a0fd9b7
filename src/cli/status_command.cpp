// SPDX-License-Identifier: Apache-2.0
#include "cli/status_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <utility>

#include "base/json.h"
#include "cli/agent_socket.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/complaint.h"
#include "cli/status_view.h"

namespace msp::cli {
namespace {

struct Options {
  bool json = false;
  AgentAddress agent;
};

// Programs get their object on every way out.
int cannot_tell(std::string_view what, std::string_view remedy, const Options& options, std::ostream& out,
                std::ostream& err) {
  if (options.json) {
    json::Writer writer;
    writer.begin_object().key("protected").null().field("error", what).field("remedy", remedy).end_object();
    out << std::move(writer).take() << '\n';
  }
  err << complaint("mspctl", what, remedy);
  return kExitCannotTell;
}

int show(const Options& options, std::ostream& out, std::ostream& err) {
  const auto text = ask_agent(options.agent, "/v1/status", "mspctl status");
  if (!text) {
    return cannot_tell(text.error().message, text.error().hint, options, out, err);
  }
  const auto status = json::parse(*text);
  const json::Value* verdict = status.ok() ? status->find("protected") : nullptr;
  if (verdict == nullptr || verdict->boolean() == nullptr) {
    return cannot_tell("the agent's answer cannot be read", "use the mspctl of the agent's own version", options, out,
                       err);
  }
  out << (options.json ? json::to_text(*status, json::Style::kPretty) + "\n" : status_view(*status));
  return *verdict->boolean() ? kExitProtected : kExitNotFully;
}

}  // namespace

int status_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  Options options;
  CLI::App app(
      "What protects this machine, and what to do where it does not.\n"
      "Exit code: 0 protected, 1 not fully, 2 cannot tell.",
      "mspctl status");
  app.add_flag("--json", options.json, "for programs: docs/status.md");
  add_agent_options(app, options.agent);
  try {
    parse_arguments(app, arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app.exit(error, out, err);
    }
    options.json = std::ranges::find(arguments, "--json") != arguments.end();
    return cannot_tell(error.what(), "see mspctl status --help", options, out, err);
  }
  return show(options, out, err);
}

}  // namespace msp::cli
