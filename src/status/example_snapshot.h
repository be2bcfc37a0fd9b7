// SPDX-License-Identifier: Apache-2.0
// A snapshot of a machine where everything holds, for tests.
// A value; any thread.
// Cannot fail.
#pragma once

#include "status/snapshot.h"

namespace msp::status {

inline Snapshot example_snapshot() {
  Snapshot s;
  s.version = "0.1.0";
  s.contract_version = 1;
  s.pid = 4242;
  s.uptime_s = 3661;
  s.time = "2025-04-23T12:00:00.123";
  s.canonical_mode = "enforce";
  s.interception.cgroup = "/sys/fs/cgroup";
  s.interception.pin_directory = "/sys/fs/bpf/openmsp";
  s.interception.hooks = {{.name = "connect4", .attached = true, .pinned = true, .program_id = 41, .link_id = 7},
                          {.name = "sockops", .attached = true, .pinned = true, .program_id = 42, .link_id = 8}};
  s.listener = {.address = "127.0.0.1:3080", .listening = true, .message = {}};
  s.channel.phase = "latched";
  s.channel.state = "WireServer Enforce -  IMDS Enforce - HostGA Enforce";
  s.channel.key_guid = "7f3c2d10-5b1e-4d57-8a90-0c6f1f5a2b11";
  s.channel.incarnation = 3;
  s.channel.host_answers = true;
  s.channel.ever_latched = true;
  s.channel.long_poll = true;
  s.channel.host_clock_offset_ms = 412;
  s.channel.message = "key is in use";
  const auto service = [&](const char* name, const char* endpoint, const char* rules) {
    s.services.push_back({.service = name,
                          .endpoint = endpoint,
                          .mode = "enforce",
                          .redirected = true,
                          .rule_id = rules,
                          .message = {}});
  };
  service("imds", "169.254.169.254:80", "rules-v7");
  service("wireserver", "168.63.129.16:80", "rules-ws-2");
  service("hostga", "168.63.129.16:32526", "rules-ws-2");
  s.connections_open = 3;
  s.requests = 42;
  s.outcomes = {{"served", 40}, {"denied", 2}};
  s.kernel = {{"redirected", 44}};
  s.audit.written = 42;
  audit::Refusal refusal;
  refusal.time_ns = 1'745'409'600'000'000'000;
  refusal.request_id = "5b1e4d578a90-00000000002a";
  refusal.status = 403;
  refusal.has_caller = true;
  refusal.uid = 1000;
  refusal.pid = 77;
  refusal.user = "alice";
  refusal.exe = "/usr/bin/curl";
  refusal.service = "wireserver";
  refusal.method = "GET";
  refusal.target = "/machine?comp=goalstate";
  refusal.reason = "not_elevated";
  s.last_refusals = {refusal};
  s.connection_summary = {{.user_name = "root",
                           .ip = "168.63.129.16",
                           .port = 80,
                           .process_command_line = "/usr/bin/walinuxagent -daemon",
                           .response_status = "200 OK",
                           .count = 17,
                           .user_groups = {"root"},
                           .process_full_path = "/usr/bin/python3.12"}};
  return s;
}

}  // namespace msp::status
