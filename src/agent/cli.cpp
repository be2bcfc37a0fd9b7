// SPDX-License-Identifier: Apache-2.0
#include "agent/cli.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/app.h"
#include "agent/machine_check.h"
#include "agent/provision_query.h"
#include "agent/setup_cli.h"
#include "agent/worker_process.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_sinks.h"
#include "base/version.h"
#include "intercept/interceptor.h"
#include "intercept/pins.h"
#include "status/check.h"

namespace msp::agent {
namespace {

constexpr std::string_view kFieldName = "azure-proxy-agent";
/// The field's setup tool; a bundle has a link of that name.
constexpr std::string_view kFieldSetupName = "proxy_agent_setup";

constexpr int kBadUsage = 2;  ///< or a configuration that cannot be used, whatever is wrong with it

/// `code`: instead of what the error's source would give.
int fail(const Error& error, std::optional<int> code = std::nullopt) {
  log::leave_journal();
  log::write(error);
  const bool of_its_content = error.source == Source::kConfig && error.code == 0;
  if (::geteuid() != 0 && !of_its_content) {
    log::hint("only root can guard a machine: run as root");
  }
  return code.value_or(error.source == Source::kConfig ? kBadUsage : 1);
}

int serve(Config config, App::Until until, const App::Reread& reread) {
  log::use_journal();
  log::set_level(config.log_level);
  auto app = App::start(std::move(config));
  if (!app) {
    return fail(app.error());
  }
  auto done = (*app)->run(until, reread);
  app->reset();  // its threads log, too
  return done ? 0 : fail(done.error());
}

/// A configuration that broke meanwhile must not keep the hooks: without one those at the usual place go.
int uninstall(const std::optional<std::string>& config_path) {
  auto config = load_config(config_path, process_environment());
  if (!config && config_path) {
    return fail(config.error(), kBadUsage);
  }
  const std::string pins = config ? config->bpf_pin_directory : Config().bpf_pin_directory;
  if (!config) {
    log::warn("{}", config.error().text());
    log::hint("hooks are looked for at {}; name the configuration that says otherwise with --config", pins);
  }
  // Under a running agent it would open the gate of a machine that is thought to be guarded.
  if (::access(pins.c_str(), F_OK) == 0) {
    if (auto alone = intercept::lock_pins(pins); !alone && alone.error().code == EBUSY) {
      return fail(alone.error());
    }
  }
  if (auto done = intercept::uninstall(pins); !done) {
    return fail(done.error());
  }
  fmt::print("Hooks below {} are gone: metadata is no longer guarded.\n", pins);
  return 0;
}

/// With what the file alone does not say: whether the user that it names may serve.
int check_config(const Config& config) {
  if (auto user = worker_user(config.worker_user); !user) {
    return fail(user.error(), kBadUsage);
  }
  fmt::print("The configuration is good.\n");
  return 0;
}

/// Asked by who is about to replace a running agent by this program: where it says no, the running one is left alone.
int check_hooks(const Config& config) {
  auto done = intercept::check_hooks(config.bpf_pin_directory);
  return done ? 0 : fail(done.error(), 1);
}

/// Scripts call the existing agent by its name; only the help shows which one was meant.
std::string called_as(const std::vector<std::string>& words) {
  const std::string name = words.empty() ? std::string() : std::filesystem::path(words[0]).filename().string();
  return name == kFieldName ? name : "msp-agent";
}

/// As the field's setup tool it is `msp-agent setup`.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  if (!words.empty() && std::filesystem::path(words[0]).filename() == kFieldSetupName) {
    words.insert(words.begin() + 1, "setup");
  }
  if (words.size() == 2 && words[1] == "help") {
    words[1] = "--help";
  }
  // The existing agent takes "=" after the letter, too.
  for (std::string& word : words) {
    if (word.starts_with("-w=") || word.starts_with("-sw=")) {
      word.erase(word.find('='), 1);
    }
  }
  return words;
}

/// As the existing agent: "--status=false" is no way to say no. The library would take values of flags, "=true"
/// whatever it is told.
void refuse_values_of_flags(const CLI::App& app, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    const auto equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    const CLI::Option* option = equals == std::string::npos ? nullptr : app.get_option_no_throw(word.substr(0, equals));
    if (option != nullptr && option->get_items_expected_max() == 0) {
      throw CLI::ArgumentMismatch::FlagOverride(option->get_name());
    }
  }
}

/// Before a subcommand or after it, or of its own ones; not twice.
void add_config(CLI::App& app, std::optional<std::string>& path) {
  app.add_option_function<std::string>(
         "--config",
         [&path](const std::string& named) {
           if (path) {
             throw CLI::ArgumentMismatch("--config is given twice");
           }
           path = named;
         },
         "configuration file (default: /etc/azure/proxy-agent.json)")
      ->type_name("FILE");
  for (CLI::App* verb : app.get_subcommands({})) {
    add_config(*verb, path);
  }
}

/// As the existing agent reads a number: decimal digits, perhaps after a plus.
std::uint64_t seconds_of(const std::string& text) {
  std::string_view digits = text;
  digits.remove_prefix(digits.starts_with('+') ? 1 : 0);
  std::uint64_t seconds = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
  if (failed != std::errc() || end != digits.data() + digits.size()) {
    throw CLI::ValidationError("--wait", "\"" + text + "\" is no number of seconds");
  }
  return seconds;
}

/// The field's own asks 127.0.0.1:3080 and reads no configuration: without a usable one, so do we.
Result<Ipv4Endpoint> agent_to_ask(const std::optional<std::string>& config_path) {
  auto config = load_config(config_path, process_environment());
  if (config) {
    return config->listen;
  }
  if (config_path) {
    return std::move(config).error();
  }
  return Config().listen;
}

int status(const std::optional<std::string>& config_path, std::optional<std::uint64_t> wait, std::uint64_t began_ms) {
  auto agent = agent_to_ask(config_path);
  if (!agent) {
    return fail(agent.error(), kBadUsage);
  }
  ProvisionQuery query{
      .agent = *agent, .began_ms = began_ms, .wait = std::nullopt, .tick_ns = SystemClock().realtime_ns()};
  if (wait) {
    constexpr std::uint64_t kLongest = std::numeric_limits<std::uint32_t>::max();
    query.wait = static_cast<std::uint32_t>(std::min(*wait, kLongest));
  }
  const ProvisionState state = query_provision(query, [](const Error& error) {
    fmt::print("Failed to query the current provision state with error: {}\n", error.text());
  });
  if (!state.error_message.empty()) {
    fmt::print("{}\n", state.error_message);
  }
  return exit_code(state);
}

}  // namespace

int run_cli(int argc, char** argv) {
  log::use_stderr();
  const std::uint64_t began_ms = SystemClock().boottime_ms();
  const std::vector<std::string> words = words_of(argc, argv);
  CLI::App app(
      "Guards the metadata services of this machine: identifies who asks, decides by rules, endorses.\n"
      "Without options and subcommand it does so until SIGTERM or SIGINT; systemd starts it so (msp-agent.service).\n"
      "What it says about itself: mspctl status.",
      called_as(words));
  app.footer("Exit code: 0; 1 it cannot guard this machine; 2 the configuration or the command line is wrong.");
  app.set_version_flag("-v,--version", std::string(version()));
  std::optional<std::string> config_path;
  std::optional<std::uint64_t> wait;
  bool check = false;
  app.add_flag("--check-config", check, "read the configuration, say what is wrong with it, and stop");
  bool asked = false;
  auto* ask = app.add_flag("-s,--status", asked,
                           "ask the running agent whether provisioning is over: exit 0 yes, 1 no, 2 failed")
                  ->multi_option_policy(CLI::MultiOptionPolicy::Throw);
  app.add_option_function<std::string>(
         "-w,--wait", [&](const std::string& text) { wait = seconds_of(text); },
         "with --status: ask until it is over or these seconds have passed")
      ->type_name("SECONDS")
      ->needs(ask);
  const auto* console =
      app.add_subcommand("console", "the same as without a subcommand, until a line is read from standard input");
  const auto* remove =
      app.add_subcommand("uninstall", "detach and unpin the kernel hooks: the gate is open afterwards");
  const auto* hooks = app.add_subcommand(
      "check-hooks", "whether this program may take over the kernel hooks that are there: exit 0 yes, 1 no");
  auto* const machine = app.add_subcommand(
      "check-machine", "whether this machine can be guarded, and what stands in the way: exit 0 yes, 1 warnings, 2 no");
  bool as_json = false;
  machine->add_flag("--json", as_json, "for programs: docs/status.md")->disable_flag_override();
  SetupCli setup(app);
  add_config(app, config_path);
  app.footer("Exit code, where nothing else is said: 0 ended as asked, 1 failed, 2 bad usage or configuration.");
  app.require_subcommand(0, 1);
  try {
    refuse_values_of_flags(app, words);
    // The library wants them without the program's name, the last one first.
    app.parse(std::vector<std::string>(words.rbegin(), words.rend() - (words.empty() ? 0 : 1)));
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kBadUsage;
  }
  if (asked) {
    return status(config_path, wait, began_ms);
  }
  if (remove->parsed()) {
    return uninstall(config_path);
  }
  if (setup.parsed()) {
    auto done = setup.run(config_path);
    return done ? *done : fail(done.error(), 1);
  }
  if (machine->parsed()) {
    const auto checks = check_machine(config_path);
    fmt::print("{}{}", as_json ? status::checks_json(checks) : status::checks_view(checks), as_json ? "\n" : "");
    return static_cast<int>(status::worst_of(checks));
  }
  auto config = load_config(config_path, process_environment());
  if (!config) {
    return fail(config.error(), kBadUsage);
  }
  if (check) {
    return check_config(*config);
  }
  if (hooks->parsed()) {
    return check_hooks(*config);
  }
  return serve(std::move(*config), console->parsed() ? App::Until::kLineOrSignal : App::Until::kSignal,
               [&] { return load_config(config_path, process_environment()); });
}

}  // namespace msp::agent
