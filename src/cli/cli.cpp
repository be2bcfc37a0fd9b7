// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"

#include <fmt/core.h>

#include <array>
#include <ostream>
#include <string_view>

#include "base/log.h"
#include "base/version.h"
#include "cli/arguments.h"
#include "cli/doctor_command.h"
#include "cli/host_command.h"
#include "cli/policy_command.h"
#include "cli/status_command.h"

namespace msp::cli {
namespace {

struct Verb {
  std::string_view name;
  std::string_view help;
  int (*run)(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
};

constexpr std::array kVerbs{
    Verb{.name = "status",
         .help = "what protects this machine, and what to do where it does not",
         .run = &status_command},
    Verb{.name = "doctor",
         .help = "everything that must hold here, check by check, with remedies",
         .run = &doctor_command},
    Verb{.name = "policy", .help = "tools for those who write allowlists", .run = &policy_command},
    Verb{.name = "vm", .help = "virtual machines of a running msp-host", .run = &vm_command},
    Verb{.name = "vmss", .help = "scale sets of a running msp-host, with their instances", .run = &vmss_command},
    Verb{.name = "profile", .help = "access control profiles of a running msp-host", .run = &profile_command},
    Verb{.name = "host", .help = "a running msp-host itself: backup, rules against spoofing", .run = &host_command},
    Verb{.name = "key", .help = "keys that machines have latched at a running msp-host", .run = &key_command},
};

void print_help(std::ostream& out) {
  out << "mspctl " << version()
      << ": shows what guards the metadata of this machine, and keeps the models of a host\n\nUsage: mspctl [--config "
         "FILE | --socket PATH] VERB "
         "[OPTIONS]\n\n";
  for (const Verb& verb : kVerbs) {
    out << fmt::format("  {:10}{}\n", verb.name, verb.help);
  }
  out << "\nstatus, doctor and policy are about this machine, vm, vmss, profile, host and key about the msp-host that "
         "serves others:\n"
         "--config FILE and --socket PATH are those of msp-agent, or of msp-host.\n"
         "Exit code: 0 as wanted; 1 the answer is no: not protected, refused, findings; 2 bad usage or configuration, "
         "or nobody could be asked.\n"
         "\n  mspctl VERB --help    options of a verb\n  mspctl --version\n";
}

int dispatch(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  if (arguments.empty()) {
    print_help(err);
    return kExitCannotTell;
  }
  // Where the agent is may also be said before the verb, as for the other programs.
  const std::size_t at = place_of_verb(arguments);
  if (at == arguments.size()) {
    err << "mspctl: the verb is missing\n\n";
    print_help(err);
    return kExitCannotTell;
  }
  const std::string& first = arguments[at];
  if (first == "--help" || first == "-h" || first == "help") {
    print_help(out);
    return 0;
  }
  if (first == "--version" || first == "-v") {
    out << version() << '\n';
    return 0;
  }
  for (const Verb& verb : kVerbs) {
    if (verb.name == first) {
      return verb.run(without_verb(arguments, at), out, err);
    }
  }
  err << "mspctl: there is no verb '" << log::escape(first) << "'\n\n";
  print_help(err);
  return kExitCannotTell;
}

}  // namespace

int run(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  const int code = dispatch(arguments, out, err);
  // What could not be written must not end as if somebody had got it.
  if (!out.flush()) {
    err << "mspctl: the output could not be written\n"
           "  -> see that the disk has room and that what reads the output does not end before it\n";
    return kExitCannotTell;
  }
  return code;
}

}  // namespace msp::cli
