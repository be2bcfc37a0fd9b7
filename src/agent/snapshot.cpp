// SPDX-License-Identifier: Apache-2.0
#include "agent/snapshot.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/version.h"
#include "bpf/contract.h"
#include "http/status.h"

namespace msp::agent {
namespace {

void add_interception(status::Snapshot& out, const SnapshotParts& parts) {
  out.interception.message = parts.hooks_message;
  if (parts.config != nullptr) {
    out.interception.pin_directory = parts.config->bpf_pin_directory;
  }
  if (parts.hooks == nullptr) {
    out.interception.message = "no hooks";
    return;
  }
  out.interception.cgroup = parts.hooks->cgroup_path();
  auto attached = parts.hooks->attached();
  if (!attached) {
    out.interception.message = attached.error().text();
    return;
  }
  for (const intercept::Attached& hook : *attached) {
    out.interception.hooks.push_back({hook.name, hook.cgroup_id != 0, hook.pinned, hook.program_id, hook.link_id});
  }
  if (auto counters = parts.hooks->counters()) {
    out.kernel = {{"redirected", counters->redirected},
                  {"direct", counters->direct},
                  {"refused_storage", counters->refused_storage},
                  {"refused_squatter", counters->refused_squatter},
                  {"refused_flood", counters->refused_flood},
                  {"refused_device", counters->refused_device},
                  {"refused_datagram", counters->refused_datagram},
                  {"bind_refused", counters->bind_refused},
                  {"record_lost", counters->record_lost}};
  }
}

void add_channel(status::Snapshot& out, const SnapshotParts& parts) {
  if (parts.channel == nullptr) {
    return;
  }
  const channel::ChannelState& from = *parts.channel;
  status::Channel& to = out.channel;
  to.phase = channel::to_string(from.phase);
  to.state = from.state;
  if (from.key) {
    to.key_guid = from.key->guid;
    to.incarnation = from.key->incarnation;
  }
  to.closed = from.closed;
  to.host_answers = from.host_answers;
  to.host_status = from.host_status;
  to.ever_latched = from.ever_latched;
  to.disk_trouble = from.disk_trouble;
  to.long_poll = from.long_poll;
  to.signed_status = from.signed_status;
  to.key_doubted = from.key_doubted;
  to.key_refused = from.key_refused;
  to.message = from.message;
  to.host_code = from.host_code;
  if (from.host_time_offset_ms) {
    to.host_clock_offset_ms = *from.host_time_offset_ms + parts.boot_ms - parts.now_ns / 1'000'000;
  }
}

void add_services(status::Snapshot& out, const SnapshotParts& parts) {
  if (parts.config == nullptr) {
    return;
  }
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    const auto service = static_cast<Service>(i);
    status::ServiceState state;
    state.service = to_string(service);
    state.endpoint = to_string(parts.config->service(service).endpoint);
    if (parts.channel != nullptr) {
      state.mode = parts.channel->services[i].mode;
      state.redirected = parts.channel->services[i].redirect;
      if (parts.channel->document) {
        state.rule_id = protocol::rule_id(*parts.channel->document, service);
      }
    }
    if (parts.rules != nullptr) {
      const rules::ServiceReport rules = parts.rules->report(service);
      state.message = rules.unusable;
      state.local_failure = rules.local_failure;
    }
    out.services.push_back(std::move(state));
  }
}

void add_counters(status::Snapshot& out, const SnapshotParts& parts) {
  if (parts.counters != nullptr) {
    const proxy::Counters& from = *parts.counters;
    const auto get = [](const std::atomic<std::uint64_t>& c) { return c.load(std::memory_order_relaxed); };
    out.connections = get(from.connections);
    out.connections_open = get(from.connections_open);
    out.requests = get(from.requests);
    out.stripped = get(from.stripped);
    if (const std::uint64_t last = get(from.overloaded_ms); last != 0) {
      const auto now = static_cast<std::uint64_t>(parts.boot_ms);
      out.overloaded_ago_s = (now - std::min(last, now)) / 1000;
    }
    out.outcomes = {{"served", get(from.served)},       {"host_refused", get(from.host_refused)},
                    {"denied", get(from.denied)},       {"malformed", get(from.malformed)},
                    {"not_ready", get(from.not_ready)}, {"upstream_failed", get(from.upstream_failed)},
                    {"local", get(from.local)},         {"connections_refused", get(from.connections_refused)}};
  }
  if (parts.audit != nullptr) {
    out.audit = parts.audit->counters();
    out.last_refusals = parts.audit->recent_refusals();
    out.last_host_refusals = parts.audit->recent_host_refusals();
  }
}

std::vector<status::SummaryRow> rows_of(const std::vector<audit::SummaryGroup>& groups, const SnapshotParts& parts) {
  std::vector<status::SummaryRow> rows;
  for (const audit::SummaryGroup& from : groups) {
    status::SummaryRow row;
    // Nobody is known behind the connection.
    const bool nobody = from.user.empty() && from.exe.empty() && from.process.empty();
    row.user_name = nobody ? "empty" : from.user;
    row.process_full_path = nobody ? "empty" : from.exe;
    row.process_command_line = nobody ? "empty" : from.process;
    if (!nobody && parts.names != nullptr && !parts.names->group(from.gid).empty()) {
      row.user_groups.emplace_back(parts.names->group(from.gid));
    }
    row.ip = "None";
    for (std::size_t i = 0; i < kServiceCount && parts.config != nullptr; ++i) {
      const auto service = static_cast<Service>(i);
      if (from.service == to_string(service)) {
        row.ip = address_text(parts.config->service(service).endpoint);
        row.port = parts.config->service(service).endpoint.port;
      }
    }
    row.response_status = fmt::format("{} {}", from.status, http::reason_phrase(from.status));
    row.count = from.count;
    rows.push_back(std::move(row));
  }
  return rows;
}

void add_summaries(status::Snapshot& out, const SnapshotParts& parts) {
  if (parts.audit != nullptr) {
    const audit::Summary summary = parts.audit->summary();
    out.connection_summary = rows_of(summary.served, parts);
    out.failed_summary = rows_of(summary.refused, parts);
  }
}

}  // namespace

status::Snapshot make_snapshot(const SnapshotParts& parts) {
  status::Snapshot out;
  out.version = version();
  out.contract_version = MSP_CONTRACT_VERSION;
  out.pid = static_cast<std::uint32_t>(::getpid());
  out.uptime_s = parts.uptime_s;
  out.time = timestamp_ms(parts.now_ns);
  if (parts.config != nullptr) {
    out.canonical_mode = policy::to_string(parts.config->matching);
    out.listener.address = to_string(parts.config->listen);
    out.warnings = parts.config->warnings;
  }
  out.listener.listening = parts.counters != nullptr;
  add_interception(out, parts);
  add_channel(out, parts);
  add_services(out, parts);
  add_counters(out, parts);
  add_summaries(out, parts);
  return out;
}

}  // namespace msp::agent
