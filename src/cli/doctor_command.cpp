// SPDX-License-Identifier: Apache-2.0
#include "cli/doctor_command.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <ostream>
#include <utility>

#include "base/external_program.h"
#include "base/log.h"
#include "cli/agent_socket.h"
#include "cli/arguments.h"
#include "cli/cli.h"

namespace msp::cli {
namespace {

using status::Check;
using status::Verdict;

constexpr const char* kAgent = "/usr/sbin/msp-agent";

/// The one that lies beside this program, or the package's.
std::string agent_program() {
  std::error_code failed;
  const auto beside = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path() / "msp-agent";
  return !failed && ::access(beside.c_str(), X_OK) == 0 ? beside.string() : std::string(kAgent);
}

std::vector<std::string> command(const AgentAddress& agent, std::vector<std::string> words) {
  std::vector<std::string> out{agent_program()};
  if (!agent.config.empty()) {
    out.insert(out.end(), {"--config", agent.config});
  }
  std::ranges::move(words, std::back_inserter(out));
  return out;
}

Check failed(std::string name, Error error, std::string remedy) {
  std::string hint = std::exchange(error.hint, {});
  return {.name = std::move(name),
          .verdict = Verdict::kFailure,
          .what = error.text(),
          .remedy = hint.empty() ? std::move(remedy) : std::move(hint)};
}

/// Asked as cloud-init asks: only a living worker answers.
Check worker(const AgentAddress& agent) {
  const auto said = read_program(command(agent, {"--status"}));
  if (!said) {
    return failed("worker", said.error(), "install msp-agent");
  }
  if (said->exit_code == 1 && said->out.starts_with("Failed to query")) {
    return {.name = "worker",
            .verdict = Verdict::kFailure,
            .what = "it does not answer: " + said->out.substr(0, said->out.find('\n')),
            .remedy = "the agent starts another by itself; if none stays, its log says why"};
  }
  if (said->exit_code == 2) {
    return {.name = "worker",
            .verdict = Verdict::kWarning,
            .what = "it answers; provisioning has ended with an error: " + said->out.substr(0, said->out.find('\n')),
            .remedy = "mend what is named, here or in the other checks"};
  }
  return {
      .name = "worker",
      .what = said->exit_code == 0 ? "it answers, and provisioning is over" : "it answers, and provisioning goes on"};
}

void add_running(const AgentAddress& agent, std::vector<Check>& out) {
  const auto text = ask_agent(agent, "/v1/status", "mspctl doctor");
  const auto status = text ? json::parse(*text) : text.error();
  if (!status) {
    out.push_back(failed("agent", status.error(), "use the mspctl of the agent's own version"));
    return;
  }
  std::ranges::move(checks_of_status(*status), std::back_inserter(out));
  out.push_back(worker(agent));
}

void add_machine(const AgentAddress& agent, std::vector<Check>& out) {
  auto said = read_program(command(agent, {"check-machine", "--json"}));
  auto checks = said ? status::read_checks(said->out) : std::move(said).error();
  if (!checks) {
    out.push_back(failed("machine", std::move(checks).error(), "install the msp-agent of the same version as mspctl"));
    return;
  }
  std::ranges::move(*checks, std::back_inserter(out));
}

}  // namespace

int doctor_command(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  bool as_json = false;
  AgentAddress agent;
  CLI::App app(
      "Looks at everything that must hold for this machine to be guarded, and says what to do where it does not.\n"
      "Exit code: 0 all is well, 1 warnings, 2 failures.",
      "mspctl doctor");
  app.add_flag("--json", as_json, "for programs: docs/status.md");
  add_agent_options(app, agent);
  std::vector<Check> checks;
  try {
    parse_arguments(app, arguments);
    add_running(agent, checks);
    add_machine(agent, checks);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app.exit(error, out, err);
    }
    as_json = std::ranges::find(arguments, "--json") != arguments.end();
    checks = {
        {.name = "options", .verdict = Verdict::kFailure, .what = error.what(), .remedy = "see mspctl doctor --help"}};
  }
  out << (as_json ? status::checks_json(checks) + "\n" : status::checks_view(checks));
  return static_cast<int>(worst_of(checks));
}

}  // namespace msp::cli
