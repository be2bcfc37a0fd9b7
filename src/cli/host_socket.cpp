// SPDX-License-Identifier: Apache-2.0
#include "cli/host_socket.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <ostream>
#include <thread>

#include "base/clock.h"
#include "base/configured_program.h"
#include "base/file.h"
#include "base/json_fields.h"
#include "base/log.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/complaint.h"

namespace msp::cli {
namespace {

constexpr std::uint64_t kTimeoutMs = 60'000;  // a large change waits for the disk
constexpr std::chrono::milliseconds kBetweenTries{100};

Result<std::string> socket_of(const HostOptions& options) {
  if (!options.socket.empty()) {
    return options.socket;
  }
  return admin_socket_of(options.config.empty() ? kHostConfig : options.config);
}

bool is_absent(const Error& error) { return error.code == ENOENT || error.code == ECONNREFUSED; }

/// Asks until somebody answers or the time is over.
Result<Reply> ask_patiently(const std::string& socket, const Question& question, const HostOptions& options,
                            std::ostream& err) {
  const SystemClock clock;
  const std::uint64_t end_ms = clock.boottime_ms() + std::uint64_t{options.wait_seconds} * 1000;
  bool said = false;
  for (;;) {
    auto reply = ask(socket, question);
    const bool cut = !reply.ok() && (reply.error().code == ECONNRESET || reply.error().code == EPIPE);
    // Where nobody was there, nothing was sent; where the answer was cut, nobody can tell what came of it.
    const bool again = !reply.ok() && (is_absent(reply.error()) || (cut && question.method == "GET"));
    if (!again || clock.boottime_ms() >= end_ms) {
      return reply;
    }
    if (!said) {
      err << complaint(options.command,
                       fmt::format("nothing answers on {}: waiting up to {} s, it may be restarting", socket,
                                   options.wait_seconds),
                       "")
          << std::flush;
      said = true;
    }
    std::this_thread::sleep_for(kBetweenTries);
  }
}

}  // namespace

void add_host_options(CLI::App& app, HostOptions& options) {
  app.add_flag("--json", options.json, "prints the answer of the host, for programs: docs/host-admin.md");
  app.add_option("--config", options.config, "configuration file of msp-host, which names the admin socket")
      ->type_name("FILE");
  app.add_option("--socket", options.socket, "admin socket of msp-host")->type_name("PATH");
  app.add_option("--wait", options.wait_seconds, "how long to wait for a host that is not there (5)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0, 300));
}

std::optional<int> parse_host_options(CLI::App& app, const std::vector<std::string>& arguments, HostOptions& options,
                                      std::ostream& out, std::ostream& err) {
  try {
    parse_arguments(app, arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app.exit(error, out, err);
    }
    options.json = std::ranges::find(arguments, "--json") != arguments.end();
    return cannot_ask(config_error(error.what(), fmt::format("see {} --help", app.get_name())), options, out, err);
  }
  return std::nullopt;
}

Result<std::string> admin_socket_of(const std::string& config_path) {
  auto text = file::read(config_path, file::configuration());
  if (!text.ok()) {
    Error error = std::move(text).error().context("configuration of msp-host");
    error.hint = "name it with --config, or the socket with --socket";
    return error;
  }
  const auto document = json::parse(*text, {.skip_bom = true});
  if (!document.ok()) {
    Error error = document.error();
    return std::move(error).context(config_path);
  }
  json::Problems problems(*text, config_path);
  const std::string socket = json::ObjectReader(*document, "", problems).string("adminSocket", "");
  if (auto good = problems.result(); !good.ok()) {
    return std::move(good).error();
  }
  if (socket.empty()) {
    const std::string whose = not_configuration_of("msp-host", *text);
    return config_error(config_path + " names no adminSocket",
                        whose.empty() ? "set it there and restart msp-host: docs/host-admin.md" : whose);
  }
  std::error_code failure;
  const auto folder = std::filesystem::absolute(config_path, failure).parent_path();
  return (folder / socket).lexically_normal().string();
}

Result<Reply> ask_host(const HostOptions& options, std::ostream& err, std::string_view method, std::string_view target,
                       std::string_view body) {
  auto socket = socket_of(options);
  if (!socket.ok()) {
    return std::move(socket).error();
  }
  const Question question{
      .method = method, .target = target, .body = body, .who = "msp-host", .timeout_ms = kTimeoutMs};
  auto reply = ask_patiently(*socket, question, options, err);
  // The host itself refuses with 404, too, but for reasons of its own; the agent takes no body at all.
  if (reply.ok() && (reply->status == 404 || reply->status == 413) && is_agent(*socket)) {
    return config_error(
        fmt::format("{} is the control socket of msp-agent, not the admin socket of msp-host", *socket),
        "name the host's with --socket, or its configuration with --config; for the agent: mspctl status");
  }
  if (reply.ok()) {
    return reply;
  }
  Error error = std::move(reply).error();
  if (is_absent(error)) {
    return Error{.source = Source::kHost,
                 .message = fmt::format("msp-host is not running (nothing answers on {})", *socket),
                 .hint = "start it, or name its configuration with --config or its socket with --socket",
                 .code = 0};
  }
  if (error.code == EACCES || error.code == EPERM) {
    return Error{.source = Source::kHost,
                 .message = fmt::format("only root and the user of msp-host may ask it ({})", *socket),
                 .hint = "run it as root",
                 .code = 0};
  }
  return error;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

int cannot_ask(const Error& error, const HostOptions& options, std::ostream& out, std::ostream& err) {
  Error bare = error;
  bare.hint.clear();
  if (options.json) {
    json::Writer writer;
    writer.begin_object().field("error", bare.text()).field("remedy", error.hint).end_object();
    out << std::move(writer).take() << '\n';
  }
  err << complaint(options.command, bare.text(), error.hint);
  return kExitCannotTell;
}

int refused(const Reply& reply, const HostOptions& options, std::ostream& out, std::ostream& err) {
  if (options.json) {
    out << reply.body << (reply.body.ends_with('\n') ? "" : "\n");
  }
  const Error words = own_words(reply);
  err << complaint(options.command, words.message, words.hint);
  // 404 and 409 are about what was asked; everything else is trouble.
  return reply.status == 404 || reply.status == 409 ? kExitRefused : kExitCannotTell;
}

int refused_with_faults(const Reply& reply, const HostOptions& options, std::ostream& out, std::ostream& err,
                        const FaultPlace& place) {
  const int code = refused(reply, options, out, err);
  const auto answer = json::parse(reply.body, {.max_bytes = 64 << 20, .max_nodes = 4'000'000});
  const json::Value* faults = answer.ok() ? answer->find("faults") : nullptr;
  if (faults == nullptr || faults->array() == nullptr) {
    return code;
  }
  std::string remedy;
  const auto text = [](const json::Value& fault, std::string_view name) {
    const json::Value* value = fault.find(name);
    return value != nullptr && value->is_string() ? *value->string() : std::string();
  };
  const auto say_remedy = [&] {
    if (!remedy.empty()) {
      err << "    -> " << log::escape(remedy) << '\n';
    }
  };
  for (const json::Value& fault : *faults->array()) {
    // Of several in a row with the same remedy it stands below the last.
    if (const std::string next = text(fault, "remedy"); next != remedy) {
      say_remedy();
      remedy = next;
    }
    err << "  " << log::escape((place ? place(fault) : std::string()) + text(fault, "problem")) << '\n';
  }
  say_remedy();
  return code;
}

}  // namespace msp::cli
