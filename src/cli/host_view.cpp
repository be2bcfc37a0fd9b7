// SPDX-License-Identifier: Apache-2.0
#include "cli/host_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "base/log.h"

namespace msp::cli {
namespace {

using Row = std::vector<std::string>;

std::string leaf(const json::Value& of, std::string_view pointer) {
  const json::Value* value = of.at(pointer);
  if (value == nullptr || value->is_null()) {
    return "-";
  }
  return value->is_string() ? log::escape(*value->string()) : json::to_text(*value);
}

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

const json::Array& items(const json::Value& of, std::string_view name) {
  static const json::Array kNone;
  const json::Value* value = of.find(name);
  return value == nullptr || value->array() == nullptr ? kNone : *value->array();
}

std::string origin(const json::Value& item) { return leaf(item, "/file") == "-" ? "applied" : leaf(item, "/file"); }

}  // namespace

std::string machines_view(const json::Value& list) {
  std::vector<Row> rows{{"NAME", "VMID", "IMDS", "WIRESERVER", "INCARNATION", "KEY", "ADDRESSES", "FROM"}};
  for (const json::Value& vm : items(list, "value")) {
    rows.push_back({leaf(vm, "/name"), leaf(vm, "/vmId"), leaf(vm, "/imds/mode"), leaf(vm, "/wireServer/mode"),
                    leaf(vm, "/keyIncarnationId"), leaf(vm, "/keyGuid") == "-" ? "none" : "latched",
                    joined(vm, "sourceAddresses"), origin(vm)});
  }
  return rows.size() == 1 ? "no virtual machine\n" : table(rows);
}

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
    return fmt::format("{} requests, {} bytes", text(fmt::format("{}/requests", at)),
                       text(fmt::format("{}/bytes", at)));
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
        out += "    the key ends; the agent latches a new one by itself\n";
      }
    }
  }
  if (items(outcome, "guests").empty()) {
    out += fmt::format("no guest {} anything of it\n", dry_run ? "would notice" : "notices");
  }
  return out;
}

}  // namespace msp::cli
