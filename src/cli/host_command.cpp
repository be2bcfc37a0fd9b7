// SPDX-License-Identifier: Apache-2.0
#include "cli/host_command.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <ostream>
#include <span>

#include "base/log.h"
#include "cli/arguments.h"
#include "cli/cli.h"
#include "cli/host_apply.h"
#include "cli/host_audit_view.h"
#include "cli/host_backup.h"
#include "cli/host_events.h"
#include "cli/host_guard.h"
#include "cli/host_move.h"
#include "cli/host_query.h"
#include "cli/host_socket.h"
#include "cli/host_view.h"

namespace msp::cli {
namespace {

constexpr std::string_view kMachines = "/v1/virtualMachines";
constexpr std::string_view kSets = "/v1/scaleSets";
constexpr std::string_view kProfiles = "/v1/accessControlProfiles";
constexpr std::string_view kRecipient = "/v1/recipient";

using Arguments = std::vector<std::string>;

struct Verb {
  std::string_view name;
  std::string_view help;
  int (*run)(const Arguments& arguments, std::ostream& out, std::ostream& err);
};

constexpr std::array kVmVerbs{
    Verb{.name = "apply", .help = "adds or changes machines, all of them or none", .run = &vm_apply},
    Verb{.name = "diff", .help = "what applying would change for guests", .run = &vm_diff},
    Verb{.name = "get",
         .help = "a model as it was given; with --json what is known of the machine, too",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query(
                   {.command = "mspctl vm",
                    .verb = "get",
                    .help = "Shows a model as it was given; with --json what is known of the machine, too.",
                    .method = "GET",
                    .list = kMachines,
                    .name = "VM"},
                   arguments, out, err);
             }},
    Verb{.name = "export", .help = "sends a machine with its key to another host", .run = &vm_export},
    Verb{.name = "import", .help = "goes on with a machine that another host has exported", .run = &vm_import},
    Verb{.name = "event", .help = "what is scheduled for the machine; schedules or ends it", .run = &vm_event},
    Verb{.name = "status",
         .help = "what the guest's own agents have reported of themselves",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl vm",
                                  .verb = "status",
                                  .help = "Shows what the guest's own agents have reported; with --json all of it.",
                                  .method = "GET",
                                  .list = kMachines,
                                  .name = "VM",
                                  .suffix = "/reports",
                                  .view = &reports_view},
                                 arguments, out, err);
             }},
    Verb{.name = "audit",
         .help = "what was refused of a machine, or would be if it enforced: whom, why, what to do",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query(
                   {.command = "mspctl vm",
                    .verb = "audit",
                    .help = "Shows what was refused of a machine, and what enforcing would refuse of its\n"
                            "services in audit mode: by caller and reason, with what to do about it.",
                    .method = "GET",
                    .list = kMachines,
                    .name = "VM",
                    .suffix = "/audit",
                    .view = &audit_view},
                   arguments, out, err);
             }},
    Verb{.name = "audit-forget",
         .help = "forgets what vm audit shows, to begin anew",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl vm",
                                  .verb = "audit-forget",
                                  .help = "Forgets what mspctl vm audit shows of a machine, to begin anew.",
                                  .method = "DELETE",
                                  .list = kMachines,
                                  .name = "VM",
                                  .suffix = "/audit",
                                  .view = &audit_view},
                                 arguments, out, err);
             }},
    Verb{.name = "list",
         .help = "all machines: what is enforced, who has a key, what was refused, who asked when",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl vm",
                                  .verb = "list",
                                  .help = "Lists the virtual machines.",
                                  .method = "GET",
                                  .list = kMachines,
                                  .view = &machines_view},
                                 arguments, out, err);
             }},
    Verb{.name = "delete",
         .help = "its connections are refused from then on, its key ends",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl vm",
                                  .verb = "delete",
                                  .help = "Deletes a virtual machine: its connections are refused, its key ends.",
                                  .method = "DELETE",
                                  .list = kMachines,
                                  .name = "VM",
                                  .view = &outcome_view},
                                 arguments, out, err);
             }},
};

constexpr std::array kVmssVerbs{
    Verb{.name = "apply", .help = "adds or changes scale sets and instances, all of them or none", .run = &vmss_apply},
    Verb{.name = "diff", .help = "what applying would change for guests", .run = &vmss_diff},
    Verb{.name = "get",
         .help = "a scale set as it was given; with --json its instances, too",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl vmss",
                                  .verb = "get",
                                  .help = "Shows a scale set as it was given; with --json its instances, too.",
                                  .method = "GET",
                                  .list = kSets,
                                  .name = "VMSS",
                                  .name_help = "name or resource id"},
                                 arguments, out, err);
             }},
    Verb{.name = "list",
         .help = "all scale sets, what is enforced, how many instances have a key",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl vmss",
                                  .verb = "list",
                                  .help = "Lists the scale sets.",
                                  .method = "GET",
                                  .list = kSets,
                                  .view = &scale_sets_view},
                                 arguments, out, err);
             }},
    Verb{.name = "delete",
         .help = "it and its instances: their connections are refused, their keys end",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl vmss",
                                  .verb = "delete",
                                  .help = "Deletes a scale set and its instances: they are refused, their keys end.",
                                  .method = "DELETE",
                                  .list = kSets,
                                  .name = "VMSS",
                                  .name_help = "name or resource id",
                                  .view = &outcome_view},
                                 arguments, out, err);
             }},
};

constexpr std::array kProfileVerbs{
    Verb{.name = "apply", .help = "adds or changes profiles and versions, all of them or none", .run = &profile_apply},
    Verb{.name = "diff", .help = "what applying would change for guests", .run = &profile_diff},
    Verb{.name = "get",
         .help = "a profile or version as it was given",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl profile",
                                  .verb = "get",
                                  .help = "Shows a profile (P) or a version (P/1.0.0) as it was given.",
                                  .method = "GET",
                                  .list = kProfiles,
                                  .name = "PROFILE",
                                  .name_help = "P, a version P/1.0.0, or a resource id"},
                                 arguments, out, err);
             }},
    Verb{.name = "list",
         .help = "all of them, and which machines refer to them",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl profile",
                                  .verb = "list",
                                  .help = "Lists access control profiles and versions.",
                                  .method = "GET",
                                  .list = kProfiles,
                                  .view = &profiles_view},
                                 arguments, out, err);
             }},
    Verb{.name = "delete",
         .help = "refused while a machine refers to it",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query({.command = "mspctl profile",
                                  .verb = "delete",
                                  .help = "Deletes a profile or a version; refused while a machine refers to it.",
                                  .method = "DELETE",
                                  .list = kProfiles,
                                  .name = "PROFILE",
                                  .name_help = "P, a version P/1.0.0, or a resource id",
                                  .view = &outcome_view},
                                 arguments, out, err);
             }},
};

int end_key(std::string_view verb, std::string_view suffix, std::string_view help, const Arguments& arguments,
            std::ostream& out, std::ostream& err) {
  return host_query({.command = "mspctl key",
                     .verb = verb,
                     .help = help,
                     .method = "POST",
                     .list = kMachines,
                     .name = "NAME",
                     .suffix = suffix,
                     .list_of_sets = kSets,
                     .view = &outcome_view},
                    arguments, out, err);
}

constexpr std::array kKeyVerbs{
    Verb{.name = "get",
         .help = "whether a key is latched, who else asks for one, and what to do about it",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query(
                   {.command = "mspctl key",
                    .verb = "get",
                    .help = "Shows whether a key is latched, who else asks for one, and what to do about it.",
                    .method = "GET",
                    .list = kMachines,
                    .name = "VM",
                    .view = &key_view},
                   arguments, out, err);
             }},
    Verb{.name = "recipient",
         .help = "what another host needs to export a machine to this one",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return host_query(
                   {.command = "mspctl key",
                    .verb = "recipient",
                    .help = "Shows what mspctl vm export --to takes on the host that a machine comes from.",
                    .method = "GET",
                    .list = kRecipient,
                    .view = &recipient_view},
                   arguments, out, err);
             }},
    Verb{.name = "reset",
         .help = "raises keyIncarnationId: the key ends at once, one new latch is allowed",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return end_key(
                   "reset", "/resetKey",
                   "Raises keyIncarnationId in the model of a machine, or of a scale set: the key ends at\n"
                   "once, or that of each instance; one new latch is allowed. Where nobody else may know the\n"
                   "key: mspctl key rotate.",
                   arguments, out, err);
             }},
    Verb{.name = "rotate",
         .help = "the same without a refused request: the old key is taken until the agent has another",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return end_key(
                   "rotate", "/rotateKey",
                   "A planned change of the key of a machine, or of each instance of a scale set: raises\n"
                   "keyIncarnationId, so that one new latch is allowed, and takes the old key until the\n"
                   "agent has latched another and what is on its way has come, for 5 minutes at most. For a\n"
                   "key that others may know: mspctl key reset.",
                   arguments, out, err);
             }},
};

constexpr std::array kHostVerbs{
    Verb{.name = "backup", .help = "its whole database, while it runs", .run = &host_backup},
    Verb{.name = "guard", .help = "rules that keep guests from each other's addresses", .run = &host_guard},
};

/// A command and its verbs.
struct Command {
  std::string_view name;
  std::string_view help;
  std::span<const Verb> verbs;
};

void print_help(const Command& command, std::ostream& out) {
  out << fmt::format("{0}: {1}\n\nUsage: {0} VERB [OPTIONS]\n\n", command.name, command.help);
  std::size_t width = 0;
  for (const Verb& verb : command.verbs) {
    width = std::max(width, verb.name.size());
  }
  for (const Verb& verb : command.verbs) {
    out << fmt::format("  {:{}}  {}\n", verb.name, width, verb.help);
  }
  out << fmt::format(
      "\nEvery verb takes --config FILE of msp-host (default {}) or --socket PATH, and --json.\n"
      "Exit code: 0 done, 1 refused, 2 bad usage or configuration, or the host could not be asked.\n\n"
      "  {} VERB --help    options of a verb\n",
      kHostConfig, command.name);
}

int dispatch(const Command& command, const Arguments& arguments, std::ostream& out, std::ostream& err) {
  // Where the host is may also be said before the verb.
  const std::size_t at = place_of_verb(arguments);
  if (at == arguments.size()) {
    err << command.name << ": the verb is missing\n\n";
    print_help(command, err);
    return kExitCannotTell;
  }
  const std::string& word = arguments[at];
  if (word == "--help" || word == "-h" || word == "help") {
    print_help(command, out);
    return 0;
  }
  for (const Verb& verb : command.verbs) {
    if (verb.name == word) {
      return verb.run(without_verb(arguments, at), out, err);
    }
  }
  err << command.name << ": there is no verb '" << log::escape(word) << "'\n\n";
  print_help(command, err);
  return kExitCannotTell;
}

}  // namespace

int vm_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch({.name = "mspctl vm", .help = "virtual machines of a running msp-host", .verbs = kVmVerbs}, arguments,
                  out, err);
}

int vmss_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch(
      {.name = "mspctl vmss", .help = "scale sets of a running msp-host, with their instances", .verbs = kVmssVerbs},
      arguments, out, err);
}

int profile_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch({.name = "mspctl profile",
                   .help = "access control profiles of a running msp-host, and their versions",
                   .verbs = kProfileVerbs},
                  arguments, out, err);
}

int host_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch({.name = "mspctl host", .help = "a running msp-host itself", .verbs = kHostVerbs}, arguments, out,
                  err);
}

int key_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch(
      {.name = "mspctl key", .help = "keys that machines have latched at a running msp-host", .verbs = kKeyVerbs},
      arguments, out, err);
}

}  // namespace msp::cli
