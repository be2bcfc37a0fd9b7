// SPDX-License-Identifier: Apache-2.0
#include "agent/cli.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "agent/app.h"
#include "base/log.h"
#include "base/version.h"
#include "intercept/interceptor.h"

namespace msp::agent {
namespace {

int fail(const Error& error) {
  log::write(error);
  const bool of_its_content = error.source == Source::kConfig && error.code == 0;
  if (::geteuid() != 0 && !of_its_content) {
    log::hint("only root can guard a machine: run as root");
  }
  return error.source == Source::kConfig ? 2 : 1;
}

int serve(Config config) {
  auto app = App::start(std::move(config));
  if (!app) {
    return fail(app.error());
  }
  auto done = (*app)->run();
  return done ? 0 : fail(done.error());
}

int uninstall(const Config& config) {
  if (auto done = intercept::uninstall(config.bpf_pin_directory); !done) {
    return fail(done.error());
  }
  fmt::print("Hooks below {} are gone: metadata is no longer guarded.\n", config.bpf_pin_directory);
  return 0;
}

}  // namespace

int run_cli(int argc, char** argv) {
  CLI::App app("Guards the metadata services of this machine: identifies, decides, endorses.", "msp-agent");
  app.set_version_flag("-v,--version", std::string(version()));
  std::optional<std::string> config_path;
  bool check = false;
  app.add_option("--config", config_path, "configuration file (default: /etc/azure/proxy-agent.json)");
  app.add_flag("--check-config", check, "read the configuration, say what is wrong with it, and stop");
  const auto* remove =
      app.add_subcommand("uninstall", "detach and unpin the kernel hooks: the gate is open afterwards");
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  auto config = load_config(config_path, process_environment());
  if (!config) {
    return fail(config.error());
  }
  if (check) {
    fmt::print("The configuration is good.\n");
    return 0;
  }
  return remove->parsed() ? uninstall(*config) : serve(std::move(*config));
}

}  // namespace msp::agent
