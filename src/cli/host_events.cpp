// SPDX-License-Identifier: Apache-2.0
#include "cli/host_events.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/host_socket.h"
#include "cli/host_view.h"

namespace msp::cli {
namespace {

struct Wanted {
  std::string machine;
  std::string type;
  std::int64_t in_seconds = 900;
  std::int64_t duration = -1;
  std::string description;
  bool by_user = false;
  std::string end;
};

void add_options(CLI::App& app, Wanted& wanted) {
  app.add_option("VM", wanted.machine, "name, vmId or resource id")->required();
  CLI::Option* schedule =
      app.add_option("--schedule", wanted.type, "Freeze, Reboot, Redeploy, Preempt or Terminate")->type_name("TYPE");
  app.add_option("--in", wanted.in_seconds, "seconds until it begins, if the guest does not approve it before (900)")
      ->type_name("S")
      ->needs(schedule);
  app.add_option("--duration", wanted.duration, "seconds that it takes (-1, the default: nobody knows)")
      ->type_name("S")
      ->needs(schedule);
  app.add_option("--description", wanted.description, "for the guest to read")->needs(schedule);
  app.add_flag("--by-user", wanted.by_user, "its source is the user, not the platform")->needs(schedule);
  app.add_option("--end", wanted.end, "of an event that is over, or called off")->type_name("ID")->excludes(schedule);
}

std::string body_of(const Wanted& wanted) {
  json::Writer writer;
  writer.begin_object().field("type", wanted.type).field("inSeconds", wanted.in_seconds);
  writer.field("durationSeconds", wanted.duration).field("description", wanted.description);
  writer.field("source", wanted.by_user ? "User" : "Platform").end_object();
  return std::move(writer).take();
}

}  // namespace

int vm_event(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
  HostOptions options{.command = "mspctl vm"};
  CLI::App app(
      "Shows what is scheduled for a machine; schedules or ends an event.\n"
      "Exit code: 0 done, 1 refused, 2 bad usage or configuration, or the host could not be asked.",
      "mspctl vm event");
  add_host_options(app, options);
  Wanted wanted;
  add_options(app, wanted);
  if (const auto over = parse_host_options(app, arguments, options, out, err)) {
    return *over;
  }
  const std::string events = fmt::format("/v1/virtualMachines/{}/events", percent_encoded(wanted.machine));
  const auto reply = !wanted.end.empty()
                         ? ask_host(options, err, "DELETE", fmt::format("{}/{}", events, percent_encoded(wanted.end)))
                     : wanted.type.empty() ? ask_host(options, err, "GET", events)
                                           : ask_host(options, err, "POST", events, body_of(wanted));
  if (!reply.ok()) {
    return cannot_ask(reply.error(), options, out, err);
  }
  if (reply->status != 200) {
    return refused(*reply, options, out, err);
  }
  const auto answer = json::parse(reply->body);
  if (!answer.ok()) {
    return cannot_ask(bug("the host's answer cannot be read"), options, out, err);
  }
  out << (options.json ? reply->body + "\n" : events_view(*answer));
  return 0;
}

}  // namespace msp::cli
