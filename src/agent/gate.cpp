// SPDX-License-Identifier: Apache-2.0
#include "agent/gate.h"

#include <algorithm>

namespace msp::agent {

proxy::Gate make_gate(const channel::ChannelState& channel, std::shared_ptr<const policy::Snapshot> rules) {
  proxy::Gate gate;
  gate.host_time_offset_ms = channel.host_time_offset_ms;
  gate.rules = std::move(rules);
  if (channel.key) {
    gate.readiness = proxy::Readiness::kSign;
    gate.key = channel.key;
    gate.asks = channel.asks;
  } else if (!channel.closed && channel.phase == channel::Phase::kDisabled) {
    gate.readiness = proxy::Readiness::kUnsigned;
  }
  return gate;
}

intercept::Settings make_hook_settings(const Config& config, const channel::ChannelState& channel) {
  intercept::Settings out;
  out.listeners = {config.listen};
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    out.guarded.push_back({config.services[i].endpoint, channel.services[i].redirect, 0});
  }
  return out;
}

intercept::Settings closed_settings(const Config& config, bool redirect) {
  intercept::Settings out;
  out.listeners = {config.listen};
  for (const ServiceSettings& service : config.services) {
    out.guarded.push_back({service.endpoint, redirect, 0});
  }
  return out;
}

bool same(const intercept::Settings& a, const intercept::Settings& b) {
  const auto equal = [](const intercept::Guarded& x, const intercept::Guarded& y) {
    return x.destination == y.destination && x.redirect == y.redirect && x.listener == y.listener;
  };
  return a.listeners == b.listeners && std::ranges::equal(a.guarded, b.guarded, equal);
}

proxy::Settings make_proxy_settings(const Config& config) {
  proxy::Settings out;
  for (std::size_t i = 0; i < kServiceCount; ++i) {
    out.services[i] = {config.services[i].endpoint, config.services[i].host_names};
  }
  out.listener = config.listen;
  const Limits& limits = config.limits;
  out.max_connections = limits.max_connections;
  out.max_connections_per_user = limits.max_connections_per_user;
  out.head_timeout_ms = limits.head_timeout_ms;
  out.idle_timeout_ms = limits.idle_timeout_ms;
  out.body_timeout_ms = limits.body_timeout_ms;
  out.upstream_timeout_ms = limits.upstream_timeout_ms;
  out.not_ready_hold_ms = limits.not_ready_hold_ms;
  out.max_signed_body_bytes = limits.max_signed_body_bytes;
  out.max_exempt_body_bytes = limits.max_exempt_body_bytes;
  return out;
}

}  // namespace msp::agent
