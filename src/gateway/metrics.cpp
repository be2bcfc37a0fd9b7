// SPDX-License-Identifier: Apache-2.0
#include "gateway/metrics.h"

#include "base/metric_text.h"
#include "base/version.h"
#include "gateway/reason.h"

namespace msp::gateway {

std::string metrics_text(const VmRegistry& registry, const HostCounts& counts) {
  MetricText out("msp_host_");
  out.gauge("build_info", "Constant 1, labelled with the version of the running msp-host.");
  out.sample(true, {{"version", version()}});
  out.gauge("virtual_machines", "Virtual machines that are configured.");
  out.sample(static_cast<std::uint64_t>(registry.all().size()));
  out.gauge("key_latched", "1 if a key is latched for the virtual machine.");
  for (const auto& vm : registry.all()) {
    out.sample(vm->latched != nullptr, {{"vm", vm->model.name}, {"vm_id", vm->model.vm_id}});
  }
  out.counter("requests_total", "Requests of the virtual machine, served or refused.");
  for (const auto& vm : registry.all()) {
    out.sample(vm->counters.requests, {{"vm", vm->model.name}, {"vm_id", vm->model.vm_id}});
  }
  out.counter("requests_audited_total", "Requests that mode audit let pass and mode enforce would refuse.");
  for (const auto& vm : registry.all()) {
    out.sample(vm->counters.audited, {{"vm", vm->model.name}, {"vm_id", vm->model.vm_id}});
  }
  out.counter("requests_refused_total", "Requests that were refused, by reason.");
  for (const auto& vm : registry.all()) {
    for (std::size_t i = 0; i < kReasonCount; ++i) {
      if (vm->counters.refused[i] != 0) {
        out.sample(vm->counters.refused[i],
                   {{"vm", vm->model.name}, {"vm_id", vm->model.vm_id}, {"reason", to_string(static_cast<Reason>(i))}});
      }
    }
  }
  out.counter("unknown_callers_total", "Requests from addresses that belong to no virtual machine.");
  out.sample(counts.unknown_callers);
  out.counter("malformed_requests_total", "Requests that were no strict HTTP/1.1.").sample(counts.malformed_requests);
  out.gauge("connections_open", "Connections of virtual machines that are open now.").sample(counts.connections_open);
  out.counter("access_log_lines_lost_total", "Lines that could not be written to the access log.");
  out.sample(counts.access_log_lost);
  return std::move(out).take();
}

}  // namespace msp::gateway
