// SPDX-License-Identifier: Apache-2.0
#include "agent/setup_cli.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <utility>

namespace msp::agent {
namespace {

Setup::Extent extent_of(const std::string& words, bool with_state) {
  if (words == "service") {
    return Setup::Extent::kService;
  }
  return with_state ? Setup::Extent::kState : Setup::Extent::kPackage;
}

}  // namespace

SetupCli::SetupCli(CLI::App& app)
    : setup_(app.add_subcommand("setup", "install, update or remove the agent where there are no packages")),
      install_(
          setup_->add_subcommand("install", "copy program, units and configuration, enable and start the service")),
      uninstall_(
          setup_->add_subcommand("uninstall", "stop the service and remove the hooks: the gate is open afterwards")),
      backup_(setup_->add_subcommand("backup", "copy what is installed into the bundle")),
      restore_(setup_->add_subcommand("restore", "put back what was copied, if anything was")),
      purge_(setup_->add_subcommand("purge", "delete the copy")) {
  setup_->require_subcommand(1);
  // As the field's tool reads its words.
  for (CLI::App* verb : {install_, uninstall_, backup_, restore_, purge_}) {
    verb->ignore_case();
  }
  setup_
      ->add_option("--root", options_.root, "a system below this directory, without touching the service or the kernel")
      ->type_name("FOLDER")
      ->check(CLI::ExistingDirectory);
  setup_->add_option("--bundle", options_.bundle, "the unpacked bundle (default: where this program lies)")
      ->type_name("FOLDER");
  uninstall_->add_option("extent", extent_, "service (default), or package: delete program and configuration, too")
      ->check(CLI::IsMember({"service", "package"}, CLI::ignore_case));
  uninstall_->add_flag("--with-state", with_state_, "with package: keys, rules and logs, too")->disable_flag_override();
  restore_->add_option("delete_backup", delete_backup_, "[delete_backup=]true (default) or false")
      ->check(CLI::IsMember({"true", "false", "delete_backup=true", "delete_backup=false"}, CLI::ignore_case));
  // For the units: no word of the field's, and nothing for people.
  setup_->add_subcommand("yield", "")->group("")->add_flag("--starting", starting_)->disable_flag_override();
}

bool SetupCli::parsed() const { return setup_->parsed(); }

Result<int> SetupCli::run(const std::optional<std::string>& config) {
  if (::geteuid() != 0) {
    return config_error("setup changes the system: run it as root");
  }
  // Folders that it makes are for all to read.
  ::umask(022);
  options_.config = config;
  const Setup setup(options_);
  Result<void> done;
  if (install_->parsed()) {
    done = setup.install();
  } else if (uninstall_->parsed()) {
    done = setup.uninstall(extent_of(extent_, with_state_));
  } else if (backup_->parsed()) {
    done = setup.backup();
  } else if (restore_->parsed()) {
    done = setup.restore(delete_backup_.ends_with("true"));
  } else if (purge_->parsed()) {
    done = setup.purge();
  } else if (starting_) {
    return setup.may_start() ? 0 : 1;
  } else {
    done = setup.yield();
  }
  if (!done) {
    return std::move(done).error();
  }
  return 0;
}

}  // namespace msp::agent
