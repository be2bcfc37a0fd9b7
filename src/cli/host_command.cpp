// SPDX-License-Identifier: Apache-2.0
#include "cli/host_command.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <array>
#include <ostream>
#include <span>

#include "base/arm_document.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/host_apply.h"
#include "cli/host_events.h"
#include "cli/host_move.h"
#include "cli/host_socket.h"
#include "cli/host_view.h"

namespace msp::cli {
namespace {

constexpr json::Options kLimits{.max_bytes = 64 << 20, .max_nodes = 4'000'000};
constexpr std::string_view kMachines = "/v1/virtualMachines";
constexpr std::string_view kProfiles = "/v1/accessControlProfiles";
constexpr std::string_view kRecipient = "/v1/recipient";

using Arguments = std::vector<std::string>;

struct Verb {
  std::string_view name;
  std::string_view help;
  int (*run)(const Arguments& arguments, std::ostream& out, std::ostream& err);
};

/// One question that needs no file.
struct Query {
  std::string_view command;
  std::string_view verb;
  std::string_view help;
  std::string_view method;
  std::string_view list;       ///< path of the kind
  std::string_view name = {};  ///< of what is named; empty: nothing is
  std::string_view suffix = {};
  std::string (*view)(const json::Value& answer) = nullptr;  ///< null: shows the resource as it was given
};

int run(const Query& query, const Arguments& arguments, std::ostream& out, std::ostream& err) {
  HostOptions options{.command = query.command};
  CLI::App app(fmt::format("{}\nExit code: 0 done, 1 refused, 2 it could not be asked.", query.help),
               fmt::format("{} {}", query.command, query.verb));
  add_host_options(app, options);
  std::string named;
  if (!query.name.empty()) {
    app.add_option(std::string(query.name), named, "name, vmId or resource id")->required();
  }
  if (const auto over = parse_host_options(app, arguments, options, out, err)) {
    return *over;
  }
  const std::string target =
      fmt::format("{}{}{}{}", query.list, named.empty() ? "" : "/", percent_encoded(named), query.suffix);
  const auto reply = ask_host(options, query.method, target);
  if (!reply.ok()) {
    return cannot_ask(reply.error(), options, out, err);
  }
  const auto answer = json::parse(reply->body, kLimits);
  if (reply->status != 200) {
    return refused_with_faults(*reply, options, out, err);
  }
  if (!answer.ok()) {
    return cannot_ask(bug("the host's answer cannot be read"), options, out, err);
  }
  if (options.json) {
    out << reply->body << '\n';
  } else if (query.view != nullptr) {
    out << query.view(*answer);
  } else if (const json::Value* resource = answer->find("resource"); resource != nullptr) {
    out << text_of(reply->body, *resource) << '\n';
  }
  return 0;
}

constexpr std::array kVmVerbs{
    Verb{.name = "apply", .help = "adds or changes machines, all of them or none", .run = &vm_apply},
    Verb{.name = "diff", .help = "what applying would change for guests", .run = &vm_diff},
    Verb{.name = "get",
         .help = "a model as it was given; with --json what is known of the machine, too",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return run({.command = "mspctl vm",
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
               return run({.command = "mspctl vm",
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
         .help = "what enforcing would refuse of a machine in audit mode, by caller",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return run({.command = "mspctl vm",
                           .verb = "audit",
                           .help = "Shows what enforcing would refuse of a machine whose services are in audit mode.",
                           .method = "GET",
                           .list = kMachines,
                           .name = "VM",
                           .suffix = "/audit",
                           .view = &audit_view},
                          arguments, out, err);
             }},
    Verb{.name = "audit-forget",
         .help = "forgets that, to begin anew",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return run({.command = "mspctl vm",
                           .verb = "audit-forget",
                           .help = "Forgets what enforcing would have refused of a machine so far.",
                           .method = "DELETE",
                           .list = kMachines,
                           .name = "VM",
                           .suffix = "/audit",
                           .view = &audit_view},
                          arguments, out, err);
             }},
    Verb{.name = "list",
         .help = "all machines, what is enforced, who has a key",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return run({.command = "mspctl vm",
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
               return run({.command = "mspctl vm",
                           .verb = "delete",
                           .help = "Deletes a virtual machine: its connections are refused, its key ends.",
                           .method = "DELETE",
                           .list = kMachines,
                           .name = "VM",
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
               return run({.command = "mspctl profile",
                           .verb = "get",
                           .help = "Shows a profile (P) or a version (P/1.0.0) as it was given.",
                           .method = "GET",
                           .list = kProfiles,
                           .name = "PROFILE"},
                          arguments, out, err);
             }},
    Verb{.name = "list",
         .help = "all of them, and which machines refer to them",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return run({.command = "mspctl profile",
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
               return run({.command = "mspctl profile",
                           .verb = "delete",
                           .help = "Deletes a profile or a version; refused while a machine refers to it.",
                           .method = "DELETE",
                           .list = kProfiles,
                           .name = "PROFILE",
                           .view = &outcome_view},
                          arguments, out, err);
             }},
};

constexpr std::array kKeyVerbs{
    Verb{.name = "get",
         .help = "whether a key is latched, who else asks for one, and what to do about it",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return run({.command = "mspctl key",
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
               return run({.command = "mspctl key",
                           .verb = "recipient",
                           .help = "Shows what mspctl vm export --to takes on the host that a machine comes from.",
                           .method = "GET",
                           .list = kRecipient,
                           .view = &recipient_view},
                          arguments, out, err);
             }},
    Verb{.name = "reset",
         .help = "raises keyIncarnationId: the key ends, one new latch is allowed",
         .run =
             [](const Arguments& arguments, std::ostream& out, std::ostream& err) {
               return run({.command = "mspctl key",
                           .verb = "reset",
                           .help = "Raises keyIncarnationId in the model: the key ends, one new latch is allowed.",
                           .method = "POST",
                           .list = kMachines,
                           .name = "VM",
                           .suffix = "/resetKey",
                           .view = &outcome_view},
                          arguments, out, err);
             }},
};

void print_help(std::string_view command, std::span<const Verb> verbs, std::ostream& out) {
  out << command << ": models of a running msp-host\n\nUsage: " << command << " VERB [OPTIONS]\n\n";
  for (const Verb& verb : verbs) {
    out << fmt::format("  {:11}{}\n", verb.name, verb.help);
  }
  out << fmt::format("\nExit code: 0 done, 1 refused, 2 it could not be asked.\n\n  {} VERB --help\n", command);
}

int dispatch(std::string_view command, std::span<const Verb> verbs, const Arguments& arguments, std::ostream& out,
             std::ostream& err) {
  // Where the host is may also be said before the verb.
  std::size_t at = 0;
  while (at < arguments.size() && (arguments[at] == "--config" || arguments[at] == "--socket")) {
    at += 2;
  }
  if (at >= arguments.size()) {
    err << command << ": the verb is missing\n\n";
    print_help(command, verbs, err);
    return kExitCannotTell;
  }
  const std::string& word = arguments[at];
  if (word == "--help" || word == "-h" || word == "help") {
    print_help(command, verbs, out);
    return 0;
  }
  for (const Verb& verb : verbs) {
    if (verb.name == word) {
      Arguments own(arguments);
      own.erase(own.begin() + static_cast<std::ptrdiff_t>(at));
      return verb.run(own, out, err);
    }
  }
  err << command << ": there is no verb '" << log::escape(word) << "'\n\n";
  print_help(command, verbs, err);
  return kExitCannotTell;
}

}  // namespace

int vm_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch("mspctl vm", kVmVerbs, arguments, out, err);
}

int profile_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch("mspctl profile", kProfileVerbs, arguments, out, err);
}

int key_command(const Arguments& arguments, std::ostream& out, std::ostream& err) {
  return dispatch("mspctl key", kKeyVerbs, arguments, out, err);
}

}  // namespace msp::cli
