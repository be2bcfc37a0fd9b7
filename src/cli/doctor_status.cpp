// SPDX-License-Identifier: Apache-2.0
// The agent's status as checks: what is wrong is what the agent says, what is well is what it does not complain about.
#include <fmt/core.h>

#include <array>
#include <cstdlib>
#include <string_view>

#include "base/version.h"
#include "cli/doctor_command.h"

namespace msp::cli {
namespace {

using status::Check;
using status::Verdict;

constexpr std::int64_t kMostOffsetMs = 60'000;

std::string text(const json::Value& from, std::string_view pointer) {
  const json::Value* const value = from.at(pointer);
  return value != nullptr && value->is_string() ? *value->string() : std::string();
}

std::uint64_t number(const json::Value& from, std::string_view pointer) {
  const json::Value* const value = from.at(pointer);
  return value == nullptr ? 0 : value->uint64().value_or(0);
}

const json::Array& items(const json::Value& from, std::string_view pointer) {
  static const json::Array none;
  const json::Value* const value = from.at(pointer);
  return value != nullptr && value->array() != nullptr ? *value->array() : none;
}

std::string hooks(const json::Value& s) {
  return fmt::format("{} are attached to {}, pinned, and those that this agent installed",
                     items(s, "/interception/hooks").size(), text(s, "/interception/cgroup"));
}
std::string listener(const json::Value& s) { return fmt::format("{} is listened on", text(s, "/listener/address")); }
std::string channel(const json::Value& s) {
  return fmt::format("{}, key {}", text(s, "/channel/phase"), text(s, "/channel/keyGuid"));
}
std::string rules(const json::Value& s) {
  std::string out;
  for (const json::Value& service : items(s, "/services")) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", text(service, "/service"), text(service, "/mode"));
  }
  return out;
}
std::string audit(const json::Value& s) {
  return fmt::format("{} records written", number(s, "/counters/audit/written"));
}

struct Topic {
  std::string_view area;  ///< of the agent's problems
  std::string (*well)(const json::Value& status);
};
constexpr std::array kTopics{Topic{.area = "hooks", .well = &hooks}, Topic{.area = "listener", .well = &listener},
                             Topic{.area = "channel", .well = &channel}, Topic{.area = "rules", .well = &rules},
                             Topic{.area = "audit", .well = &audit}};

Check of_agent(const json::Value& s) {
  const std::string running = text(s, "/version");
  if (running != version()) {
    return {.name = "agent",
            .verdict = Verdict::kWarning,
            .what = fmt::format("version {} runs, and {} is installed", running, version()),
            .remedy = "systemctl restart msp-agent; no connection is lost by it"};
  }
  return {.name = "agent", .what = fmt::format("msp-agent {} runs, pid {}", running, number(s, "/pid"))};
}

Check of_clock(const json::Value& s) {
  const json::Value* const value = s.at("/channel/hostClockOffsetMilliseconds");
  const auto offset = value == nullptr ? std::nullopt : value->int64();
  if (!offset) {
    return {.name = "clock", .what = "the host's has not been heard yet"};
  }
  const std::string what =
      fmt::format("the host's is {:+.1f} s from this machine's", static_cast<double>(*offset) / 1000.0);
  if (std::abs(*offset) <= kMostOffsetMs) {
    return {.name = "clock", .what = what};
  }
  return {.name = "clock",
          .verdict = Verdict::kWarning,
          .what = what,
          .remedy =
              "requests are signed by the host's time, but logs, certificates and others go by this machine's: "
              "have a time service set it (systemd-timesyncd, chrony)"};
}

}  // namespace

std::vector<Check> checks_of_status(const json::Value& status) {
  std::vector<Check> out{of_agent(status)};
  for (const Topic& topic : kTopics) {
    bool well = true;
    for (const json::Value& problem : items(status, "/problems")) {
      if (text(problem, "/area") == topic.area) {
        well = false;
        out.push_back({.name = std::string(topic.area),
                       .verdict = text(problem, "/severity") == "warning" ? Verdict::kWarning : Verdict::kFailure,
                       .what = text(problem, "/what"),
                       .remedy = text(problem, "/remedy")});
      }
    }
    if (well) {
      out.push_back({.name = std::string(topic.area), .what = topic.well(status)});
    }
  }
  out.push_back(of_clock(status));
  return out;
}

}  // namespace msp::cli
