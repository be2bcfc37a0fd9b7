// SPDX-License-Identifier: Apache-2.0
#include "cli/status_command.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "base/json.h"
#include "cli/cli.h"
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

int cannot_tell(const Error& error, const std::string& socket, const Options& options, std::ostream& out,
                std::ostream& err) {
  std::string what = "cannot ask the agent: " + error.text();
  std::string next = "look into the agent's log";
  if (error.code == ENOENT || error.code == ECONNREFUSED) {
    what = fmt::format("the agent is not running (nothing answers on {})", socket);
    next =
        "start msp-agent, or name its socket with --socket or its configuration with --config; if it ran before, "
        "connects to the metadata addresses are refused until it runs again";
  } else if (error.code == EACCES || error.code == EPERM) {
    what = fmt::format("only root may ask the agent ({})", socket);
    next = "run it as root: sudo mspctl status";
  }
  if (options.json) {
    json::Writer writer;
    writer.begin_object().key("protected").null().field("error", what).field("remedy", next).end_object();
    out << std::move(writer).take() << '\n';
  }
  err << "mspctl: " << what << "\n  -> " << next << '\n';
  return kExitCannotTell;
}

int show(const Options& options, std::ostream& out, std::ostream& err) {
  const auto socket = socket_of(options);
  if (!socket.ok()) {
    err << "mspctl: " << socket.error().text() << '\n';
    return kExitCannotTell;
  }
  const auto text = ask_agent(*socket, "/v1/status");
  if (!text.ok()) {
    return cannot_tell(text.error(), *socket, options, out, err);
  }
  const auto status = json::parse(*text);
  const json::Value* verdict = status.ok() ? status->find("protected") : nullptr;
  if (verdict == nullptr || verdict->boolean() == nullptr) {
    err << "mspctl: the agent's answer cannot be read\n  -> use the mspctl of the agent's own version\n";
    return kExitCannotTell;
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
    return app.exit(error, out, err) == 0 ? 0 : kExitCannotTell;
  }
  return show(options, out, err);
}

}  // namespace msp::cli
