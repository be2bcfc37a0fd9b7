// SPDX-License-Identifier: Apache-2.0
#include "cli/agent_socket.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "cli/control_client.h"
#include "status/control_path.h"

namespace msp::cli {
namespace {

constexpr const char* kUsualConfig = "/etc/azure/proxy-agent.json";
constexpr std::string_view kSayWhere =
    "name the agent's configuration with --config, or its control socket with --socket";

struct Found {
  std::string path;
  std::string how;  ///< for people
};

Error wrong(std::string what, std::string remedy) {
  return {.source = Source::kConfig, .message = std::move(what), .hint = std::move(remedy), .code = 0};
}

bool may_not(const Error& error) { return error.code == EACCES || error.code == EPERM; }

std::string as_root(std::string_view command) { return fmt::format("run it as root: sudo {}", command); }

Result<Found> named_by(const std::string& config, std::string_view command) {
  auto socket = status::control_socket_of(config);
  if (socket) {
    return Found{.path = socket->path,
                 .how = socket->by_default ? fmt::format("the default, since {} names no other", config)
                                           : fmt::format("named by {}", config)};
  }
  Error error = std::move(socket).error();
  std::string remedy = may_not(error) ? as_root(command) : std::exchange(error.hint, {});
  error.hint.clear();
  return wrong(error.text(), remedy.empty() ? std::string(kSayWhere) : std::move(remedy));
}

Result<Found> find(const AgentAddress& address, std::string_view command) {
  if (!address.socket.empty()) {
    return Found{.path = address.socket, .how = "said by --socket"};
  }
  if (!address.config.empty()) {
    return named_by(address.config, command);
  }
  if (::access(kUsualConfig, F_OK) == 0) {
    return named_by(kUsualConfig, command);
  }
  return Found{.path = std::string(status::kDefaultControlSocket),
               .how = fmt::format("the default, since there is no {}", kUsualConfig)};
}

/// The kernel keeps the name of a socket whose file is gone: "...: 00000002 00000000 00010000 0001 01 <inode> <path>".
bool listens_without_file(const std::string& path) {
  constexpr std::string_view kListening = " 00010000 ";
  const auto sockets = file::read("/proc/net/unix", {.owner = {}, .no_symlinks = false});
  if (!sockets) {
    return false;
  }
  for (std::string_view rest = *sockets; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.ends_with(" " + path) && line.contains(kListening)) {
      return true;
    }
  }
  return false;
}

Error no_answer(Error error, const Found& socket, std::string_view command) {
  if (may_not(error)) {
    return wrong(fmt::format("only root may ask the agent ({}, {})", socket.path, socket.how), as_root(command));
  }
  std::error_code none;
  if (const auto kind = std::filesystem::status(socket.path, none);
      !none && std::filesystem::exists(kind) && kind.type() != std::filesystem::file_type::socket) {
    return wrong(fmt::format("{} ({}) is no socket", socket.path, socket.how),
                 "--socket wants the agent's control socket; its configuration goes with --config");
  }
  if (error.code == ENOENT && listens_without_file(socket.path)) {
    return wrong(
        fmt::format("an agent runs, and the file of its control socket {} ({}) was removed", socket.path, socket.how),
        "restart msp-agent, which makes it anew; connects to the metadata addresses wait meanwhile");
  }
  if (error.code == ENOENT || error.code == ECONNREFUSED) {
    return wrong(fmt::format("the agent is not running: nothing answers on {} ({})", socket.path, socket.how),
                 fmt::format("start msp-agent, or {}; if it ran before, connects to the metadata addresses are refused "
                             "until it runs again",
                             kSayWhere));
  }
  error.hint.clear();
  return wrong(fmt::format("cannot ask the agent on {} ({}): {}", socket.path, socket.how, error.text()),
               "see that it is the agent's socket, and look into the agent's log");
}

/// Not what was asked for: whose socket is it?
Error other_answer(const Reply& reply, const Found& socket, std::string_view command) {
  if (reply.status == 403) {
    return wrong(fmt::format("only root may ask the agent ({}, {})", socket.path, socket.how), as_root(command));
  }
  if (reply.status == 404 && is_host(socket.path)) {
    return wrong(fmt::format("{} ({}) is the admin socket of msp-host, not of an agent", socket.path, socket.how),
                 fmt::format("{}; the host is asked by mspctl vm, profile, key and host", kSayWhere));
  }
  if (reply.status == 404 && is_agent(socket.path)) {
    return wrong(fmt::format("the agent that runs is older than this mspctl and cannot answer that ({})", socket.path),
                 "restart msp-agent, so that the version that is installed runs");
  }
  return wrong(fmt::format("what answers on {} ({}) says {}: {}", socket.path, socket.how, reply.status,
                           own_words(reply).message),
               std::string(kSayWhere));
}

}  // namespace

void add_agent_options(CLI::App& app, AgentAddress& address) {
  app.add_option("--config", address.config, fmt::format("configuration file of msp-agent (default: {})", kUsualConfig))
      ->type_name("FILE");
  app.add_option("--socket", address.socket,
                 fmt::format("control socket of msp-agent (default: as the configuration says, else {})",
                             status::kDefaultControlSocket))
      ->type_name("PATH");
}

Result<std::string> ask_agent(const AgentAddress& address, std::string_view target, std::string_view command) {
  const auto socket = find(address, command);
  if (!socket) {
    return socket.error();
  }
  auto reply = ask(socket->path, {.target = target});
  if (!reply) {
    return no_answer(std::move(reply).error(), *socket, command);
  }
  if (reply->status != 200) {
    return other_answer(*reply, *socket, command);
  }
  return std::move(reply->body);
}

}  // namespace msp::cli
