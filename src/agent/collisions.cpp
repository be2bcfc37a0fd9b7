// SPDX-License-Identifier: Apache-2.0
#include "agent/collisions.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>
#include <vector>

#include "base/collisions.h"
#include "channel/key_store.h"
#include "channel/status_guard.h"
#include "rules/dump.h"

namespace msp::agent {
namespace {

std::vector<Place> places(const Config& config, const std::string& own_path) {
  using enum Place::Extent;
  const auto in_state = [&](std::string_view name) { return fmt::format("{}/{}", config.state_directory, name); };
  const auto dumps = std::filesystem::path(config.status_file).parent_path() / rules::kDumpPrefix;
  return {{{}, "this configuration file", own_path, kAlone, false},
          {{}, "the log file in logFolder", config.log_file()},
          {{}, "what the log file in logFolder is rotated to", config.log_file() + ".", kNames},
          {{}, "latchKeyFolder", config.latch_key_folder},
          {{}, "the folder of local rule files", config.rules_folder(), kAlone, false},
          {"stateDirectory", "a mark in stateDirectory", in_state(channel::kLatchedMark)},
          {"stateDirectory", "a mark in stateDirectory", in_state(channel::kSignedMark)},
          {"machineIdFile", "machineIdFile", config.machine_id_file, kAlone, false},
          {"bpfPinDirectory", "bpfPinDirectory", config.bpf_pin_directory},
          {"controlSocket", "controlSocket", config.control_socket},
          {"metricsListen", "metricsListen", config.metrics_listen},
          {"statusFile", "statusFile", config.status_file},
          {"statusFile", "the dumps of rules beside statusFile", dumps, kNames},
          {"auditFile", "auditFile", config.audit_file, kNumbered}};
}

/// The folders of the field: at the two fields that place them.
void find_collisions_of_the_field(json::ObjectReader& top, const Config& config, const std::string& own_path) {
  using enum Place::Extent;
  const Place log{"logFolder", "the log file in logFolder", config.log_file()};
  const Place rotated{"logFolder", "what the log file in logFolder is rotated to", config.log_file() + ".", kNames};
  // Among the keys the configuration file is in nobody's way.
  msp::find_collisions(top, {{{}, "this configuration file", own_path, kAlone, false}, log, rotated});
  msp::find_collisions(top, {{{}, "the folder of local rule files", config.rules_folder(), kAlone, false},
                             {"latchKeyFolder", "latchKeyFolder", config.latch_key_folder},
                             log,
                             rotated});
}

}  // namespace

void find_collisions(json::ObjectReader& top, json::ObjectReader& ours, const Config& config,
                     const std::string& own_path) {
  find_collisions_of_the_field(top, config, own_path);
  msp::find_collisions(ours, places(config, own_path));
  const auto metrics = parse_endpoint(config.metrics_listen);
  if (!metrics || metrics->address[0] != 127) {
    return;  // that has been told
  }
  if (overlap(*metrics, config.listen)) {
    ours.fail("metricsListen", "is the address and port of listen");
  } else if (std::ranges::any_of(config.services, [&](const auto& one) { return overlap(one.endpoint, *metrics); })) {
    ours.fail("metricsListen", "is the address and port of a service, whose connections are led to listen");
  }
}

}  // namespace msp::agent
