// SPDX-License-Identifier: Apache-2.0
#include "cli/status_command.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <utility>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/complaint.h"
#include "cli/control_client.h"
#include "cli/status_view.h"
#include "status/control_path.h"

namespace msp::cli {
namespace {

constexpr const char* kFieldConfig = "/etc/azure/proxy-agent.json";

struct Options {
  bool json = false;
  std::string config;
  std::string socket;
};

Result<std::string> socket_of(const Options& options) {
  if (!options.socket.empty()) {
    return options.socket;
  }
  if (!options.config.empty()) {
    return status::control_socket_of(options.config);
  }
  if (::access(kFieldConfig, F_OK) == 0) {
    return status::control_socket_of(kFieldConfig);
  }
  return std::string(status::kDefaultControlSocket);
}

constexpr std::string_view kAsRoot = "run it as root: sudo mspctl status";

bool may_not(const Error& error) { return error.code == EACCES || error.code == EPERM; }

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

int no_socket(Error error, const Options& options, std::ostream& out, std::ostream& err) {
  const std::string hint = std::exchange(error.hint, {});
  std::string remedy =
      hint.empty() ? "name the agent's configuration with --config, or its socket with --socket" : hint;
  if (may_not(error)) {
    remedy = kAsRoot;
  }
  return cannot_tell(error.text(), remedy, options, out, err);
}

int no_answer(const Error& error, const std::string& socket, const Options& options, std::ostream& out,
              std::ostream& err) {
  Error bare = error;
  bare.hint.clear();
  std::string what = "cannot ask the agent: " + bare.text();
  std::string next = error.hint.empty() ? "look into the agent's log" : error.hint;
  if (error.code == ENOENT || error.code == ECONNREFUSED) {
    what = fmt::format("the agent is not running (nothing answers on {})", socket);
    next =
        "start msp-agent, or name its socket with --socket or its configuration with --config; if it ran before, "
        "connects to the metadata addresses are refused until it runs again";
  } else if (may_not(error)) {
    what = fmt::format("only root may ask the agent ({})", socket);
    next = kAsRoot;
  }
  return cannot_tell(what, next, options, out, err);
}

int show(const Options& options, std::ostream& out, std::ostream& err) {
  const auto socket = socket_of(options);
  if (!socket.ok()) {
    return no_socket(socket.error(), options, out, err);
  }
  const auto text = ask_agent(*socket, "/v1/status");
  if (!text.ok()) {
    return no_answer(text.error(), *socket, options, out, err);
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
  app.add_option("--config", options.config, "configuration file of the agent")->type_name("FILE");
  app.add_option("--socket", options.socket, "control socket of the agent")->type_name("PATH");
  try {
    // CLI11 takes them last first.
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
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
