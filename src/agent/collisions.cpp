// SPDX-License-Identifier: Apache-2.0
#include "agent/collisions.h"

#include <fmt/core.h>

#include <filesystem>
#include <string_view>
#include <vector>

#include "channel/key_store.h"
#include "channel/status_guard.h"

namespace msp::agent {
namespace {

struct Place {
  std::string_view field;  ///< in `openmsp`; empty: what `what` names cannot be moved by one
  std::string what;
  std::string path;
};

std::string normal(const std::string& path) { return std::filesystem::path(path).lexically_normal().string(); }

std::vector<Place> places(const Config& config, const std::string& own_path) {
  const auto in_state = [&](std::string_view name) { return fmt::format("{}/{}", config.state_directory, name); };
  std::vector<Place> all{{{}, "this configuration file", own_path},
                         {{}, "the log file in logFolder", config.log_file()},
                         {{}, "a mark in stateDirectory", in_state(channel::kLatchedMark)},
                         {{}, "a mark in stateDirectory", in_state(channel::kSignedMark)},
                         {"machineIdFile", "machineIdFile", config.machine_id_file},
                         {"controlSocket", "controlSocket", config.control_socket},
                         {"metricsListen", "metricsListen", config.metrics_listen},
                         {"statusFile", "statusFile", config.status_file},
                         {"auditFile", "auditFile", config.audit_file}};
  std::erase_if(all, [](const Place& place) { return !place.path.starts_with('/'); });
  for (Place& place : all) {
    place.path = normal(place.path);
  }
  return all;
}

}  // namespace

void find_collisions(json::ObjectReader& ours, const Config& config, const std::string& own_path) {
  const std::vector<Place> all = places(config, own_path);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (all[i].path != all[j].path || all[i].field.empty()) {
        continue;
      }
      // At a field that somebody has written: the other may be a default.
      const bool swap = !ours.has(all[i].field) && !all[j].field.empty();
      const Place& at = swap ? all[j] : all[i];
      ours.fail(at.field, fmt::format("is the place of {}, too ({})", (swap ? all[i] : all[j]).what, at.path));
    }
  }
  if (auto metrics = parse_endpoint(config.metrics_listen); metrics && *metrics == config.listen) {
    ours.fail("metricsListen", "is the address and port of listen");
  }
}

}  // namespace msp::agent
