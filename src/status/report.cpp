// SPDX-License-Identifier: Apache-2.0
#include "status/report.h"

#include <fmt/core.h>

#include "base/clock.h"
#include "base/utf8.h"

namespace msp::status {
namespace {

using json::Writer;

void write_problems(Writer& w, const std::vector<Problem>& problems) {
  w.field("protected", problems.empty()).key("problems").begin_array();
  for (const Problem& problem : problems) {
    w.begin_object().field("what", problem.what).field("remedy", problem.remedy).field("area", to_string(problem.area));
    w.field("severity", problem.warning ? "warning" : "failure").end_object();
  }
  w.end_array();
}

void write_interception(Writer& w, const Snapshot& s) {
  const Interception& i = s.interception;
  w.key("interception").begin_object().field("cgroup", i.cgroup).field("pinDirectory", i.pin_directory);
  w.key("hooks").begin_array();
  for (const Hook& hook : i.hooks) {
    w.begin_object().field("name", hook.name).field("attached", hook.attached).field("pinned", hook.pinned);
    w.field("programId", hook.program_id).field("linkId", hook.link_id).end_object();
  }
  w.end_array().field("message", i.message).end_object();
  w.key("listener").begin_object().field("address", s.listener.address).field("listening", s.listener.listening);
  w.field("message", s.listener.message).end_object();
}

template <class T>
void field_or_null(Writer& w, std::string_view name, const std::optional<T>& value) {
  w.key(name);
  if (value.has_value()) {
    w.value(*value);
  } else {
    w.null();
  }
}

void write_channel(Writer& w, const Channel& c) {
  w.key("channel").begin_object().field("phase", c.phase).field("state", c.state);
  field_or_null(w, "keyGuid", c.key_guid.empty() ? std::nullopt : std::optional(c.key_guid));
  field_or_null(w, "keyIncarnation", c.incarnation);
  w.field("closed", c.closed).field("hostAnswers", c.host_answers).field("everLatched", c.ever_latched);
  field_or_null(w, "hostStatus", c.host_status == 0 ? std::nullopt : std::optional(c.host_status));
  w.field("longPoll", c.long_poll).field("signedStatus", c.signed_status).field("keyDoubted", c.key_doubted);
  w.field("keyRefused", c.key_refused);
  field_or_null(w, "hostClockOffsetMilliseconds", c.host_clock_offset_ms);
  w.field("message", c.message);
  field_or_null(w, "hostCode", c.host_code.empty() ? std::nullopt : std::optional(c.host_code));
  w.end_object();
}

void write_services(Writer& w, const std::vector<ServiceState>& services) {
  w.key("services").begin_array();
  for (const ServiceState& s : services) {
    w.begin_object().field("service", s.service).field("endpoint", s.endpoint).field("mode", s.mode);
    w.field("redirected", s.redirected).field("ruleId", s.rule_id).field("message", s.message);
    w.field("localRuleFile", s.local_failure).end_object();
  }
  w.end_array();
}

void write_counts(Writer& w, std::string_view name, const std::vector<Count>& counts) {
  w.key(name).begin_object();
  for (const auto& [what, count] : counts) {
    w.field(what, count);
  }
  w.end_object();
}

void write_counters(Writer& w, const Snapshot& s) {
  w.key("counters").begin_object().field("connectionsOpen", s.connections_open).field("requests", s.requests);
  write_counts(w, "outcomes", s.outcomes);
  write_counts(w, "kernel", s.kernel);
  w.key("audit").begin_object().field("written", s.audit.written).field("lost", s.audit.lost);
  w.key("lostByReason").begin_object();
  for (const audit::Loss& loss : s.audit.losses) {
    w.field(loss.reason, loss.count);
  }
  w.end_object().field("problem", s.audit.problem).end_object().end_object();
}

void write_refusals(Writer& w, std::string_view name, const std::vector<audit::Refusal>& refusals) {
  w.key(name).begin_array();
  for (const audit::Refusal& r : refusals) {
    w.begin_object().field("time", timestamp_us(r.time_ns)).field("requestId", r.request_id);
    w.field("status", r.status).field("passedByAudit", r.passed).field("reason", r.reason);
    w.field("service", r.service).field("method", r.method).field("target", r.target);
    if (r.has_caller) {
      w.field("uid", r.uid).field("pid", r.pid);
    }
    w.field("user", r.user).field("process", r.process).field("exe", r.exe).field("ruleSet", r.rule_set);
    w.field("hostCode", r.host_code).field("hostRequestId", r.host_request_id).end_object();
  }
  w.end_array();
}

constexpr std::size_t kMostMessage = 1024;  // bytes (protocol.md H.3)

void write_module(Writer& w, std::string_view name, std::string_view status, std::string_view message) {
  w.key(name).begin_object().field("status", status);
  if (message.size() > kMostMessage) {
    w.field("message", std::string(utf8_truncate(message, kMostMessage)) + "...");
  } else {
    w.field("message", message);
  }
}

/// What the existing agent cannot tell, readers hear as STOPPED: that the key in use is none of the host's (protocol.md
/// H.3). A change of the key (acquiring, attesting) goes on with the one so far.
std::string_view key_latch_status(const Channel& c) {
  if (c.key_doubted || c.key_refused || c.phase == "refused") {
    return "STOPPED";
  }
  if (!c.key_guid.empty() || c.phase == "disabled") {
    return "RUNNING";
  }
  return c.phase == "unknown" ? "UNKNOWN" : "STOPPED";
}

void write_key_latch(Writer& w, const Snapshot& s) {
  const Channel& c = s.channel;
  write_module(w, "keyLatchStatus", key_latch_status(c),
               c.key_doubted   ? "the host has another key than the one in use"
               : c.key_refused ? "the host refuses what is signed with the key in use"
                               : c.message);
  w.key("states").begin_object().field("secureChannelState", c.state);
  if (!c.key_guid.empty()) {
    w.field("keyGuid", c.key_guid);
    if (c.incarnation.has_value()) {
      w.field("keyIncarnationId", std::to_string(*c.incarnation));
    }
  }
  for (const ServiceState& service : s.services) {
    const std::string_view name = service.service == "imds"         ? "imdsRuleId"
                                  : service.service == "wireserver" ? "wireServerRuleId"
                                                                    : "hostGARuleId";
    w.field(name, service.rule_id);
  }
  w.end_object().end_object();
}

void write_summary(Writer& w, std::string_view name, const std::vector<SummaryRow>& rows) {
  w.key(name).begin_array();
  for (const SummaryRow& row : rows) {
    w.begin_object().field("userName", row.user_name).field("ip", row.ip).field("port", row.port);
    w.field("processCmdLine", row.process_command_line).field("responseStatus", row.response_status);
    w.field("count", row.count).key("userGroups").begin_array();
    for (const std::string& group : row.user_groups) {
      w.value(group);
    }
    w.end_array().field("processFullPath", row.process_full_path).end_object();
  }
  w.end_array();
}

}  // namespace

std::string status_json(const Snapshot& s) {
  Writer w;
  w.begin_object().field("version", s.version).field("contractVersion", s.contract_version).field("pid", s.pid);
  w.field("uptimeSeconds", s.uptime_s).field("time", s.time).field("canonicalRequestMode", s.canonical_mode);
  write_problems(w, problems_of(s));
  write_interception(w, s);
  write_channel(w, s.channel);
  write_services(w, s.services);
  write_counters(w, s);
  write_refusals(w, "lastRefusals", s.last_refusals);
  write_refusals(w, "lastHostRefusals", s.last_host_refusals);
  w.key("warnings").begin_array();
  for (const std::string& warning : s.warnings) {
    w.value(warning);
  }
  w.end_array().end_object();
  return std::move(w).take();
}

std::string aggregate_json(const Snapshot& s, json::Style style, std::string_view where) {
  const bool hooks = s.interception.complete();
  const bool good = hooks && s.listener.listening && key_latch_status(s.channel) == "RUNNING";
  Writer w(style);
  w.begin_object().field("timestamp", s.time).key("proxyAgentStatus").begin_object();
  w.field("version", s.version).field("status", good ? "SUCCESS" : "ERROR");
  write_module(w, "monitorStatus", "RUNNING",
               where.empty() ? std::string("Status is kept for local readers only.")
                             : fmt::format("Aggregate status written to status file: {}", where));
  w.end_object();
  write_key_latch(w, s);
  write_module(
      w, "ebpfProgramStatus", hooks ? "RUNNING" : "STOPPED",
      hooks ? fmt::format("{} kernel hooks are attached to {}", s.interception.hooks.size(), s.interception.cgroup)
            : s.interception.message);
  w.end_object();
  write_module(w, "proxyListenerStatus", s.listener.listening ? "RUNNING" : "STOPPED",
               s.listener.listening ? fmt::format("Listening on {}", s.listener.address) : s.listener.message);
  w.end_object();
  write_module(w, "telemetryLoggerStatus", "UNKNOWN", "Status unknown.");
  w.end_object();
  w.field("proxyConnectionsCount", s.requests).end_object();
  write_summary(w, "proxyConnectionSummary", s.connection_summary);
  write_summary(w, "failedAuthenticateSummary", s.failed_summary);
  w.end_object();
  return std::move(w).take();
}

}  // namespace msp::status
