// SPDX-License-Identifier: Apache-2.0
#include "status/metrics.h"

#include <array>
#include <string_view>

#include "base/metric_text.h"

namespace msp::status {
namespace {

constexpr std::array<std::string_view, 6> kPhases = {"unknown",   "disabled", "acquiring",
                                                     "attesting", "latched",  "refused"};
constexpr std::array<std::string_view, 4> kModes = {"enforce", "audit", "disabled", "unknown"};
constexpr double kMsPerSecond = 1000;

void write_agent(MetricText& out, const Snapshot& s) {
  out.gauge("build_info", "Constant 1, labelled with the version of the running msp-agent.");
  out.sample(true, {{"version", s.version}});
  out.gauge("uptime_seconds", "Time since this agent started.").sample(s.uptime_s);
  out.gauge("protected", "1 if nothing is wrong: hooks attached and pinned, key latched, every service enforced.");
  out.sample(problems_of(s).empty());
  out.gauge("hook_attached", "1 if the kernel hook is attached.");
  for (const Hook& hook : s.interception.hooks) {
    out.sample(hook.attached, {{"hook", hook.name}});
  }
  out.gauge("hook_pinned", "1 if the kernel hook stays when the agent ends.");
  for (const Hook& hook : s.interception.hooks) {
    out.sample(hook.pinned, {{"hook", hook.name}});
  }
}

void write_channel(MetricText& out, const Snapshot& s) {
  const Channel& channel = s.channel;
  out.gauge("channel_phase", "1 for the phase that the channel to the host is in.");
  for (const std::string_view phase : kPhases) {
    out.sample(channel.phase == phase, {{"phase", phase}});
  }
  out.gauge("channel_closed", "1 while a key is needed and there is none: requests are answered not ready.");
  out.sample(channel.closed);
  out.gauge("channel_host_answers", "1 if the last poll of the host was good.").sample(channel.host_answers);
  out.gauge("channel_long_poll", "1 if the host holds polls, so that changes arrive at once.");
  out.sample(channel.long_poll);
  out.gauge("channel_signed_status", "1 if the host signs its status, and nothing that it does not sign is believed.");
  out.sample(channel.signed_status);
  out.gauge("channel_status_not_believed",
            "1 if the last status answer was not signed, or wrongly, though it had to be.");
  out.sample(channel.host_code == "status_unsigned" || channel.host_code == "status_wrongly_signed");
  out.gauge("channel_key_doubted", "1 if the host has another key than the one in use.");
  out.sample(channel.key_doubted);
  out.gauge("channel_key_refused", "1 if the host refuses what is signed with the key in use.");
  out.sample(channel.key_refused);
  if (channel.host_clock_offset_ms) {
    out.gauge("host_clock_offset_seconds", "Clock of the host minus ours, at the last good poll.");
    out.sample(static_cast<double>(*channel.host_clock_offset_ms) / kMsPerSecond);
  }
  out.gauge("service_mode", "1 for the mode that the host has set for the service.");
  for (const ServiceState& service : s.services) {
    for (const std::string_view mode : kModes) {
      out.sample(service.mode == mode, {{"service", service.service}, {"mode", mode}});
    }
  }
  out.gauge("service_redirected", "1 if connections to the service are led to the agent.");
  for (const ServiceState& service : s.services) {
    out.sample(service.redirected, {{"service", service.service}});
  }
  out.gauge("service_rules_unusable", "1 if the rules of the service could not be compiled and deny everything.");
  for (const ServiceState& service : s.services) {
    out.sample(!service.message.empty(), {{"service", service.service}});
  }
}

void write_traffic(MetricText& out, const Snapshot& s) {
  out.counter("connections_total", "Connections accepted from guest processes.").sample(s.connections);
  out.gauge("connections_open", "Connections of guest processes that are open now.").sample(s.connections_open);
  out.counter("request_heads_total", "Complete request heads received.").sample(s.requests);
  out.counter("requests_stripped_total", "Requests that came with headers that only the agent may set.");
  out.sample(s.stripped);
  out.counter("requests_total", "Requests and refused connections, by how they ended.");
  for (const auto& [outcome, count] : s.outcomes) {
    out.sample(count, {{"outcome", outcome}});
  }
  out.counter("kernel_events_total", "What the kernel hooks did since they were installed (they outlive the agent).");
  for (const auto& [event, count] : s.kernel) {
    out.sample(count, {{"event", event}});
  }
}

void write_audit(MetricText& out, const Snapshot& s) {
  out.counter("audit_records_total", "Records written to the audit log.").sample(s.audit.written);
  out.counter("audit_records_lost_total", "Records that could not be written.").sample(s.audit.lost);
  out.gauge("audit_writable", "1 if the audit log can be written now.").sample(s.audit.problem.empty());
}

}  // namespace

std::string metrics_text(const Snapshot& snapshot) {
  MetricText out("msp_agent_");
  write_agent(out, snapshot);
  write_channel(out, snapshot);
  write_traffic(out, snapshot);
  write_audit(out, snapshot);
  return std::move(out).take();
}

}  // namespace msp::status
