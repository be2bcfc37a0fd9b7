// SPDX-License-Identifier: Apache-2.0
#include "cli/host_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "cli/json_leaf.h"

namespace msp::cli {
namespace {

using Row = std::vector<std::string>;

std::string joined(const json::Value& of, std::string_view name) {
  const json::Value* list = of.find(name);
  std::string out;
  if (list != nullptr && list->array() != nullptr) {
    for (const json::Value& item : *list->array()) {
      out += out.empty() ? "" : ",";
      out += leaf(item, "");
    }
  }
  return out.empty() ? "-" : out;
}

/// "1 request", "2 requests".
std::string counted(const std::string& count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == "1" ? "" : "s");
}

std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths(rows.front().size());
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += fmt::format("{:{}}  ", row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string origin(const json::Value& item) { return leaf(item, "/file") == "-" ? "applied" : leaf(item, "/file"); }

}  // namespace

std::string machines_view(const json::Value& list) {
  std::vector<Row> rows{{"NAME", "VMID", "IMDS", "WIRESERVER", "INCARNATION", "KEY", "REFUSED", "LAST ASKED",
                         "ADDRESSES", "NETWORK", "FROM"}};
  bool refused = false;
  for (const json::Value& vm : items(list, "value")) {
    const std::string asked = leaf(vm, "/requests/last");
    rows.push_back({leaf(vm, "/name"), leaf(vm, "/vmId"), leaf(vm, "/imds/mode"), leaf(vm, "/wireServer/mode"),
                    leaf(vm, "/keyIncarnationId"), leaf(vm, "/keyGuid") == "-" ? "none" : "latched",
                    leaf(vm, "/requests/refused"), asked == "-" ? "never" : asked, joined(vm, "sourceAddresses"),
                    leaf(vm, "/network"), origin(vm)});
    refused = refused || leaf(vm, "/requests/refused") != "0";
  }
  std::string out = rows.size() == 1 ? "no virtual machine\n" : table(rows);
  if (refused) {
    out += "\nREFUSED counts since the host was started:\n    -> mspctl vm audit VM says whom, why, and what to do\n";
  }
  const json::Array& unknown = items(list, "unknownCallers");
  bool networks = false;
  if (!unknown.empty()) {
    out += "\nrefused, since they belong to no machine:\n";
  }
  for (const json::Value& caller : unknown) {
    const std::string network = leaf(caller, "/network");
    networks = networks || network != "-";
    out += fmt::format("  {}{}: {}, the last at {}\n", leaf(caller, "/address"), network == "-" ? "" : " at " + network,
                       counted(leaf(caller, "/requests"), "request"), leaf(caller, "/time"));
  }
  if (!unknown.empty()) {
    const std::string_view network = networks ? " --network NAME" : "";
    out += fmt::format(
        "    -> a new machine, a copy, or one whose address is another now: mspctl vm apply FILE --source-address "
        "IP{0}\n"
        "    -> one that came from another host: mspctl vm import FILE --source-address IP{0} (docs/disks.md)\n"
        "    -> else find out who it is: it is refused\n",
        network);
  }
  return out;
}

std::string key_view(const json::Value& machine) {
  const std::string name = leaf(machine, "/name");
  const std::string guid = leaf(machine, "/keyGuid");
  const bool enabled = leaf(machine, "/enabled") == "true";
  std::string out = fmt::format("{}: {} (incarnation {})\n", name,
                                guid != "-" ? fmt::format("key {} is latched", guid)
                                : enabled   ? "no key is latched: the next agent that asks latches one"
                                            : "no key is latched, and none is handed out: the model is not enabled",
                                leaf(machine, "/keyIncarnationId"));
  if (const std::string outgoing = leaf(machine, "/keyOutgoing"); outgoing != "-") {
    out += fmt::format("  key {} is on its way out: taken until the agent has latched another, for minutes at most\n",
                       outgoing);
  }
  if (leaf(machine, "/keyAlarms/askedWhileLatched") != "0") {
    out +=
        fmt::format("  ! another key was asked for and refused, {}, the last at {}\n",
                    counted(leaf(machine, "/keyAlarms/askedWhileLatched"), "time"), leaf(machine, "/keyAlarms/time"));
    out += fmt::format(
        "    -> if its disk was re-imaged or restored from a backup: mspctl key reset {}; else somebody in it tries "
        "to\n"
        "       become the agent\n",
        name);
  }
  if (leaf(machine, "/keyAlarms/usedByOthers") != "0") {
    out += fmt::format("  ! {} of other machines, signed with this key, refused: a copy of its disk\n",
                       counted(leaf(machine, "/keyAlarms/usedByOthers"), "request"));
    out += fmt::format("    -> mspctl key reset {} if it is not known where that copy is\n", name);
  }
  if (leaf(machine, "/keyAlarms/twoAgents") == "true") {
    out +=
        "  ! two agents take turns with this key: a copy of the machine asks from its address, or from one of its "
        "addresses\n";
    out += fmt::format(
        "    -> give the copy a vmId and an address of its own (mspctl vm apply), stop it, or mspctl key reset {}\n",
        name);
  }
  return out;
}

std::string recipient_view(const json::Value& recipient) { return leaf(recipient, "/recipient") + "\n"; }

std::string scale_sets_view(const json::Value& list) {
  std::vector<Row> rows{{"NAME", "IMDS", "WIRESERVER", "INCARNATION", "INSTANCES", "LATCHED", "ID"}};
  for (const json::Value& set : items(list, "value")) {
    const json::Array& instances = items(set, "instances");
    const auto latched = std::ranges::count_if(
        instances, [](const json::Value& instance) { return leaf(instance, "/latched") == "true"; });
    rows.push_back({leaf(set, "/name"), leaf(set, "/imds/mode"), leaf(set, "/wireServer/mode"),
                    leaf(set, "/keyIncarnationId"), std::to_string(instances.size()), std::to_string(latched),
                    leaf(set, "/key")});
  }
  return rows.size() == 1 ? "no scale set\n" : table(rows);
}

std::string profiles_view(const json::Value& list) {
  std::vector<Row> rows{{"ID", "REFERRED TO BY", "FROM"}};
  for (const json::Value& profile : items(list, "value")) {
    rows.push_back({leaf(profile, "/name"), joined(profile, "referredToBy"), origin(profile)});
  }
  return rows.size() == 1 ? "no access control profile\n" : table(rows);
}

std::string reports_view(const json::Value& reports) {
  const auto line = [&](std::string_view name, std::string_view at, std::string what) {
    const std::string time = leaf(reports, fmt::format("{}/time", at));
    return time == "-" ? fmt::format("{:14}nothing yet\n", name) : fmt::format("{:14}{}, {}\n", name, what, time);
  };
  const auto text = [&](std::string_view pointer) { return leaf(reports, pointer); };
  const auto count = [&](std::string_view at) {
    return fmt::format("{}, {}", counted(text(fmt::format("{}/requests", at)), "request"),
                       counted(text(fmt::format("{}/bytes", at)), "byte"));
  };
  std::string provisioning = fmt::format("{} by {}", text("/provisioning/state"), text("/provisioning/by"));
  for (const std::string_view part : {"/provisioning/subStatus", "/provisioning/description"}) {
    if (const std::string more = text(part); !more.empty()) {
      provisioning += fmt::format(", {}", more);
    }
  }
  std::string out = line("provisioning", "/provisioning", provisioning);
  out += line("agent", "/agent", fmt::format("{} ({})", text("/agent/state"), text("/agent/version")));
  const json::Value* handlers = reports.at("/document/aggregateStatus/handlerAggregateStatus");
  if (handlers != nullptr && handlers->array() != nullptr) {
    for (const json::Value& handler : *handlers->array()) {
      out += fmt::format("  {} {}: {}\n", leaf(handler, "/handlerName"), leaf(handler, "/handlerVersion"),
                         leaf(handler, "/status"));
    }
  }
  return out + line("telemetry", "/telemetry", count("/telemetry")) + line("logs", "/logs", count("/logs")) +
         line("observations", "/observations", count("/observations"));
}

std::string events_view(const json::Value& events) {
  std::vector<Row> rows{{"ID", "TYPE", "STATUS", "NOT BEFORE", "SECONDS", "SOURCE", "DESCRIPTION"}};
  for (const json::Value& event : items(events, "value")) {
    rows.push_back({leaf(event, "/id"), leaf(event, "/type"), leaf(event, "/status"), leaf(event, "/notBefore"),
                    leaf(event, "/durationSeconds"), leaf(event, "/source"), leaf(event, "/description")});
  }
  return rows.size() == 1 ? "nothing is scheduled\n" : table(rows);
}

std::string outcome_view(const json::Value& outcome) {
  const bool dry_run = leaf(outcome, "/dryRun") == "true";
  std::string out;
  bool deleted = false;
  for (const json::Value& resource : items(outcome, "resources")) {
    deleted = leaf(resource, "/effect") == "deleted";
    out += fmt::format("{}: {}{}\n", leaf(resource, "/name"), dry_run ? "would be " : "", leaf(resource, "/effect"));
  }
  for (const json::Value& guest : items(outcome, "guests")) {
    if (deleted) {
      out += fmt::format("guest {}: refused from now on, its key is dead\n", leaf(guest, "/name"));
      continue;
    }
    out += fmt::format("guest {}:\n", leaf(guest, "/name"));
    for (const json::Value& difference : items(guest, "differences")) {
      const std::string what = leaf(difference, "/what");
      const std::string from = leaf(difference, "/from");
      const std::string to = leaf(difference, "/to");
      if (what == "instanceMetadata" && !from.empty() && !to.empty()) {
        out += "  ~ /metadata/instance says something else\n";
      } else if (from.empty() || to.empty()) {
        out += fmt::format("  {} {}: {}\n", from.empty() ? '+' : '-', what, from.empty() ? to : from);
      } else {
        out += fmt::format("  ~ {}: {} -> {}\n", what, from, to);
      }
      if (what == "keyIncarnationId" && !from.empty() && !to.empty()) {
        out += "    the agent latches another key by itself\n";
      }
    }
  }
  if (items(outcome, "guests").empty()) {
    out += fmt::format("no guest {} anything of it\n", dry_run ? "would notice" : "notices");
  }
  return out;
}

}  // namespace msp::cli
