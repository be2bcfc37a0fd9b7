// SPDX-License-Identifier: Apache-2.0
#include "cli/caller_options.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <string>
#include <utility>

#include "cli/live_process.h"

namespace msp::cli {

Result<identity::ConnectionIdentity> CallerOptions::resolve(const RuleItem* item) const {
  if (pid) {
    return read_process(*pid, item);
  }
  if (words.user.empty() && !words.uid) {
    return config_error("nobody is named who asks", "say --as USER (or --uid N for a user without name), or --pid N");
  }
  std::string wrong;
  for (const authoring::CallerFault& fault : authoring::faults_of(words)) {
    wrong += fmt::format("{}--{} \"{}\": it {}", wrong.empty() ? "" : "\n", fault.member, fault.value, fault.what);
  }
  if (!wrong.empty()) {
    return config_error(std::move(wrong), "no rule could ever match it as it is; --pid N takes all from a process");
  }
  return authoring::make_caller(words);
}

void add_caller_options(CLI::App& app, CallerOptions& options) {
  CLI::Option* const pid = app.add_option("--pid", options.pid, "a process that runs on this machine")->type_name("N");
  const auto add = [&](CLI::Option* option, const char* type) { option->type_name(type)->excludes(pid); };
  add(app.add_option("--as", options.words.user, "user name of the process"), "USER");
  add(app.add_option("--uid", options.words.uid, "its uid; 0 counts as elevated, as does the user root without --uid"),
      "N");
  add(app.add_option("--group", options.words.groups, "one of its groups; may be repeated")->allow_extra_args(false),
      "GROUP");
  add(app.add_option("--exe", options.words.exe, "its executable"), "PATH");
  add(app.add_option("--unit", options.words.unit, "systemd unit it runs in"), "UNIT");
  add(app.add_option("--cgroup", options.words.cgroup, "its cgroup; says unit and container where it can"), "PATH");
  add(app.add_option("--container", options.words.container, "id of the container it runs in"), "ID");
  add(app.add_option("--process", options.words.process, "process name, if not the base name of --exe"), "NAME");
}

}  // namespace msp::cli
