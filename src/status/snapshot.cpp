// SPDX-License-Identifier: Apache-2.0
#include "status/snapshot.h"

#include <fmt/core.h>

#include <algorithm>

namespace msp::status {
namespace {

// What ended longer ago is no problem of now.
constexpr std::uint64_t kRecentS = 60;

void check_hooks(const Snapshot& s, std::vector<Problem>& out) {
  if (s.interception.hooks.empty()) {
    out.push_back({"no kernel hook is attached: connects to the metadata addresses are not seen",
                   s.interception.message.empty() ? "look into the agent's log" : s.interception.message});
  }
  for (const Hook& hook : s.interception.hooks) {
    if (!hook.attached) {
      out.push_back({fmt::format("the kernel hook {} is not attached", hook.name),
                     s.interception.message.empty() ? "restart the agent" : s.interception.message});
    } else if (!hook.pinned) {
      out.push_back({fmt::format("the kernel hook {} is not pinned: the gate opens if the agent dies", hook.name),
                     fmt::format("see that {} lies in a bpf file system and is nobody else's, and restart the agent",
                                 s.interception.pin_directory)});
    }
  }
}

void check_listener(const Snapshot& s, std::vector<Problem>& out) {
  if (!s.listener.listening) {
    out.push_back({fmt::format("nothing listens on {}: redirected connections are refused", s.listener.address),
                   s.listener.message.empty() ? "look into the agent's log" : s.listener.message});
  }
  if (s.overloaded_ago_s && *s.overloaded_ago_s < kRecentS) {
    out.push_back({"connections were turned away within the last minute: all places were taken (overloaded)",
                   "see in the audit log who was told overloaded, and by ss -tnp who holds connections to the "
                   "listener; where all of them are wanted, raise limits.maxConnections in the configuration",
                   Area::kListener, true});
  }
}

std::string_view remedy_of(const Channel& channel) {
  if (channel.host_code == "unknown_caller") {
    return "the host knows no machine at this one's address: have the host's operator register it (on the host: mspctl "
           "vm list shows the address that asked; mspctl vm apply MODEL --source-address ADDRESS, or mspctl vm import "
           "for "
           "a machine that came from another host); a copy of a machine: see docs/disks.md";
  }
  if (channel.host_code == "status_unsigned" || channel.host_code == "status_wrongly_signed") {
    return "rules, key and state stay as they were. Somebody between this machine and its host may be answering in its "
           "place; or the host is another, or has lost the key (its operator: docs/disks.md). Only if that is certain, "
           "stop the agent, remove the file status-signed in the state directory, and start it; see "
           "docs/signed-status.md";
  }
  if (channel.host_code == "status_uncheckable") {
    return "mend the file that the message names, or put it back: it is read at each poll. If it is lost, and only if "
           "it "
           "is certain who answers as this machine's host, stop the agent, remove the file status-signed in the state "
           "directory, and start it; see docs/disks.md (Move to another host)";
  }
  if (channel.host_code == "status_not_understood") {
    return "rules, key and state stay as they were. The host speaks a form of the protocol that this agent does not "
           "know "
           "(versions 1.0 and 2.0): update the agent, or have the host's operator see what it sends";
  }
  if (channel.host_code == "key_latched") {
    return "the host keeps the key that was latched and hands out no other. If this disk was re-imaged or restored, "
           "have "
           "the host's operator allow another key (on the host: mspctl key reset VM); if the key's file is only "
           "damaged or "
           "has wrong rights, mend it (the message and the log name it): it is read at each poll; see docs/disks.md";
  }
  if (channel.phase == "refused") {
    return "the host refuses another key for this machine. If the stored key is damaged or has wrong rights, mend that "
           "(the "
           "message and the log name the file): it is read at each poll; if it is lost, have the host's operator raise "
           "the key "
           "incarnation (keyIncarnationId)";
  }
  if (channel.phase == "acquiring" && channel.host_answers && channel.closed) {
    return "if the message names a file or a disk of this machine, mend that; otherwise wait for the next poll";
  }
  if (!channel.host_answers && channel.host_status != 0) {
    return "the host is there and does not answer as it should: have its operator look why (the message says what it "
           "answers, msp-host's access log has the reason)";
  }
  if (!channel.host_answers) {
    return "check that the host's secure channel (WireServer) can be reached from this machine";
  }
  return "wait for the next poll; if it stays so, look into the agent's log";
}

/// "403 (unknown_caller)".
std::string answer_of(const Channel& channel) {
  return channel.host_code.empty() ? fmt::format("{}", channel.host_status)
                                   : fmt::format("{} ({})", channel.host_status, channel.host_code);
}

void check_channel(const Snapshot& s, std::vector<Problem>& out) {
  const Channel& channel = s.channel;
  if (!channel.disk_trouble.empty()) {
    out.push_back(
        {fmt::format("what a restart needs is not on the disk: {}", channel.disk_trouble),
         "what holds now holds until the agent ends. Free space on the disk, put the file back, or mend owner "
         "and mode, before that; if a key's file is lost, have the host's operator replace the key (on the "
         "host: mspctl key rotate VM)"});
  }
  if (channel.phase == "disabled") {
    out.push_back({"the host has the secure channel disabled: metadata requests are neither decided nor signed",
                   "enable it for this machine at the host (securityProfile.proxyAgentSettings)"});
    return;
  }
  if (channel.phase == "unknown" && !channel.closed) {
    out.push_back(
        {channel.host_status == 0
             ? std::string("the host has not answered yet: nothing is redirected")
             : fmt::format("the host answers {}, and has not told this machine anything yet: nothing is redirected",
                           answer_of(channel)),
         std::string(remedy_of(channel))});
    return;
  }
  if (channel.closed) {
    out.push_back({fmt::format("no key is in use: metadata requests are answered \"not ready\" ({})", channel.message),
                   std::string(remedy_of(channel))});
  } else if (channel.phase != "latched") {
    out.push_back(
        {fmt::format("the host does not know the key in use ({})", channel.message), std::string(remedy_of(channel))});
  } else if (channel.key_doubted) {
    out.push_back({fmt::format("the host has another key than the one in use ({}): what is signed with it is refused",
                               channel.key_guid),
                   "somebody between this machine and its host may have given it out, or the key's file was altered: "
                   "have the host's operator end it (on the host: mspctl key reset VM), once the way to the host is "
                   "in order; see docs/signed-status.md"});
  } else if (channel.key_refused) {
    out.push_back(
        {fmt::format("the host refuses what is signed with the key in use ({})", channel.key_guid),
         "if the key's file was altered or damaged, put the right one back: it is used at once; otherwise have "
         "the host's operator replace the key (on the host: mspctl key reset VM)"});
  } else if (!channel.host_answers) {
    out.push_back({fmt::format("the last poll of the host failed; the last rules stay ({})", channel.message),
                   std::string(remedy_of(channel)), Area::kChannel, true});
  }
}

void check_services(const Snapshot& s, std::vector<Problem>& out) {
  if (s.channel.phase == "disabled" || s.channel.phase == "unknown") {
    return;
  }
  for (const ServiceState& service : s.services) {
    if (service.mode == "audit") {
      out.push_back({fmt::format("{} is in mode audit: what its rules forbid is logged, not refused", service.service),
                     "set its mode to enforce at the host when the log shows no more surprises", Area::kRules, true});
    } else if (service.mode != "enforce") {
      out.push_back({fmt::format("{} is in mode {}: its rules decide nothing", service.service, service.mode),
                     "set its mode to enforce at the host", Area::kRules, true});
    }
    if (!service.local_failure.empty()) {
      out.push_back({fmt::format("the local rule file of {} cannot be used, so that everything is denied: {}",
                                 service.service, service.local_failure),
                     "mend the file, or remove it so that the host's rules hold alone; it is read again at once"});
    } else if (!service.message.empty()) {
      out.push_back(
          {fmt::format("rules of {}: {}", service.service, service.message),
           "mend the rules at the host, or in the local rule file where one is in them (mspctl policy show)"});
    }
  }
}

}  // namespace

std::string_view to_string(Area area) {
  switch (area) {
    case Area::kHooks:
      return "hooks";
    case Area::kListener:
      return "listener";
    case Area::kChannel:
      return "channel";
    case Area::kRules:
      return "rules";
    case Area::kAudit:
      return "audit";
    case Area::kConfiguration:
      return "configuration";
  }
  return "hooks";
}

bool Interception::complete() const {
  return !hooks.empty() && std::ranges::all_of(hooks, [](const Hook& hook) { return hook.attached && hook.pinned; });
}

std::vector<Problem> problems_of(const Snapshot& snapshot) {
  std::vector<Problem> out;
  const auto about = [&out](Area area, auto check) {
    const std::size_t before = out.size();
    check(out);
    for (std::size_t i = before; i < out.size(); ++i) {
      out[i].area = area;
    }
  };
  about(Area::kHooks, [&](auto& to) { check_hooks(snapshot, to); });
  about(Area::kListener, [&](auto& to) { check_listener(snapshot, to); });
  about(Area::kChannel, [&](auto& to) { check_channel(snapshot, to); });
  about(Area::kRules, [&](auto& to) { check_services(snapshot, to); });
  if (!snapshot.audit.problem.empty()) {
    out.push_back({fmt::format("audit records are being lost: {}", snapshot.audit.problem),
                   "free disk space or mend the place of the audit log", Area::kAudit});
  }
  for (const std::string& warning : snapshot.warnings) {
    out.push_back({warning, "mend the configuration", Area::kConfiguration, true});
  }
  return out;
}

}  // namespace msp::status
