// SPDX-License-Identifier: Apache-2.0
#include "gateway/metrics.h"

#include "base/metric_text.h"
#include "base/version.h"
#include "gateway/reason.h"

namespace msp::gateway {

namespace {

constexpr std::size_t kMachinesPerTurn = 64;

using Sample = void (*)(MetricText& out, const Vm& vm, MetricText::Labels labels);

/// One sample or more of each machine. By number: the list may change between two turns.
Task<void> of_each(Loop& loop, const VmRegistry& registry, MetricText& out, Sample sample) {
  for (std::size_t i = 0; i < registry.all().size(); ++i) {
    const Vm& vm = *registry.all()[i];
    sample(out, vm, {{"vm", vm.model.name}, {"vm_id", vm.model.vm_id}});
    if (i % kMachinesPerTurn == kMachinesPerTurn - 1) {
      co_await loop.next_turn();
    }
  }
}

void refused(MetricText& out, const Vm& vm, MetricText::Labels /*labels*/) {
  for (std::size_t i = 0; i < kReasonCount; ++i) {
    if (vm.counters.refused[i] != 0) {
      out.sample(vm.counters.refused[i],
                 {{"vm", vm.model.name}, {"vm_id", vm.model.vm_id}, {"reason", to_string(static_cast<Reason>(i))}});
    }
  }
}

}  // namespace

Task<std::string> metrics_text(Loop& loop, const VmRegistry& registry, HostCounts counts) {
  MetricText out("msp_host_");
  out.gauge("build_info", "Constant 1, labelled with the version of the running msp-host.");
  out.sample(true, {{"version", version()}});
  out.gauge("virtual_machines", "Virtual machines that are configured.");
  out.sample(static_cast<std::uint64_t>(registry.all().size()));
  out.gauge("key_latched", "1 if a key is latched for the virtual machine.");
  co_await of_each(loop, registry, out, [](MetricText& to, const Vm& vm, MetricText::Labels labels) {
    to.sample(vm.latched != nullptr, labels);
  });
  out.counter("requests_total", "Requests of the virtual machine, served or refused.");
  co_await of_each(loop, registry, out, [](MetricText& to, const Vm& vm, MetricText::Labels labels) {
    to.sample(vm.counters.requests, labels);
  });
  out.counter("requests_audited_total", "Requests that mode audit let pass and mode enforce would refuse.");
  co_await of_each(loop, registry, out, [](MetricText& to, const Vm& vm, MetricText::Labels labels) {
    to.sample(vm.counters.audited, labels);
  });
  out.counter("requests_refused_total", "Requests that were refused, by reason.");
  co_await of_each(loop, registry, out, refused);
  out.counter("unknown_callers_total",
              "Requests and refused connections of addresses that belong to no virtual machine.");
  out.sample(counts.unknown_callers);
  out.counter("malformed_requests_total", "Requests that were no strict HTTP/1.1.").sample(counts.malformed_requests);
  out.gauge("connections_open", "Connections of virtual machines that are open now.").sample(counts.connections_open);
  out.counter("connections_refused_total",
              "Connections above the bounds, of all, of one machine or of unknown callers.");
  out.sample(counts.connections_refused);
  out.counter("access_log_lines_lost_total", "Lines that could not be written to the access log.");
  out.sample(counts.access_log_lost);
  co_return std::move(out).take();
}

}  // namespace msp::gateway
