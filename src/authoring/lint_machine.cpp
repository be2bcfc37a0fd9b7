// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include "authoring/lint_checks.h"

namespace msp::authoring {
namespace {

/// One identity beside what the machine has.
class MachineCheck {
 public:
  MachineCheck(const RuleIdentity& identity, std::string at, Machine& machine, Findings& findings)
      : identity_(identity), at_(std::move(at)), machine_(machine), findings_(findings) {}

  void run() {
    if (identity_.user_name && !machine_.has_user(*identity_.user_name)) {
      missing("no-such-user", "userName", fmt::format("there is no user \"{}\"", *identity_.user_name),
              "create the user, or mend the name");
    }
    if (identity_.group_name && !machine_.has_group(*identity_.group_name)) {
      missing("no-such-group", "groupName", fmt::format("there is no group \"{}\"", *identity_.group_name),
              "create the group, or mend the name");
    }
    if (identity_.exe_path) {
      check_program(*identity_.exe_path);
    }
    if (identity_.openmsp.unit) {
      check_unit(*identity_.openmsp.unit);
    }
  }

 private:
  void missing(std::string_view code, std::string_view member, std::string_view what, std::string remedy) {
    findings_.warning(code, fmt::format("{}/{}", at_, member),
                      fmt::format("no process here can be \"{}\": {}", identity_.name, what), std::move(remedy));
  }

  void check_program(const std::string& path) {
    switch (machine_.program(path)) {
      case Machine::Program::kFound:
        break;
      case Machine::Program::kMissing:
        missing("no-such-executable", "exePath", fmt::format("there is no file \"{}\"", path),
                "install it, or mend the path; a process shows its own at /proc/N/exe");
        break;
      case Machine::Program::kNotRunnable:
        missing("no-such-executable", "exePath", fmt::format("\"{}\" is no executable file", path),
                "name the program itself; of a script that is its interpreter");
        break;
      case Machine::Program::kScript:
        missing("executable-is-script", "exePath",
                fmt::format("\"{}\" is a script, whose process runs the interpreter in its first line", path),
                "name its unit (openmsp.unit), or a user of its own; the interpreter is every script of that user");
        break;
      case Machine::Program::kLink:
        findings_.warning(
            "executable-is-link", at_ + "/exePath",
            fmt::format("\"{}\" leads through a symbolic link: the field's agent compares the path of the "
                        "file that runs, and never finds this one",
                        path),
            "write the path that the link leads to");
        break;
    }
  }

  /// Scopes are made at run time, mounts and swaps mostly from fstab: they have no file of their own.
  void check_unit(const std::string& unit) {
    if (!unit.ends_with(".service") && !unit.ends_with(".socket")) {
      return;
    }
    const Machine::Unit found = machine_.unit(unit);
    if (!found.found) {
      missing("no-such-unit", "openmsp/unit", fmt::format("there is no unit file for \"{}\", or it is masked", unit),
              "install it, or mend the name; systemctl status PID shows that of a process");
    } else if (found.name != unit) {
      missing("unit-is-alias", "openmsp/unit",
              fmt::format("\"{}\" is another name of \"{}\", and its processes are in that one", unit, found.name),
              fmt::format("write \"{}\"", found.name));
    }
  }

  const RuleIdentity& identity_;
  std::string at_;
  Machine& machine_;
  Findings& findings_;
};

}  // namespace

void check_machine(const Linted& linted, Machine& machine, Findings& findings) {
  if (!linted.item.rules || !linted.item.rules->identities) {
    return;
  }
  const std::vector<RuleIdentity>& identities = *linted.item.rules->identities;
  for (std::size_t i = 0; i < identities.size(); ++i) {
    MachineCheck(identities[i], linted.at("identities", i), machine, findings).run();
  }
}

}  // namespace msp::authoring
