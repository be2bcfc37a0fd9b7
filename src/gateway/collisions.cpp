// SPDX-License-Identifier: Apache-2.0
#include "gateway/collisions.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

#include "base/collisions.h"
#include "gateway/signers.h"

namespace msp::gateway {
namespace {

std::vector<Place> places(const Config& config, const std::string& own_path) {
  using enum Place::Extent;
  const std::string& state = config.state_directory;
  std::vector<Place> all{{{}, "this configuration file", own_path, kAlone, false},
                         {{}, "the database in stateDirectory", config.database(), kNames},
                         {{}, "the key of attested documents in stateDirectory", attested_key_path(state)},
                         {{}, "a key of tokens in stateDirectory", issuer_key_path(state, SignatureAlgorithm::kRs256)},
                         {{}, "a key of tokens in stateDirectory", issuer_key_path(state, SignatureAlgorithm::kEs256)}};
  for (const std::string& path : config.profiles) {
    all.push_back({{}, "one of accessControlProfiles", path, kAlone, false});
  }
  for (const VirtualMachineConfig& machine : config.virtual_machines) {
    all.push_back({{}, "a model in virtualMachines", machine.model, kAlone, false});
  }
  for (Place place : {Place{"modelDirectory", "modelDirectory", config.model_directory, kShared, false},
                      {"certificateDirectory", "certificateDirectory", config.certificate_directory, kShared, false},
                      {"attestationFile", "attestationFile", config.attestation_file, kAlone, false},
                      {"masterKeyFile", "masterKeyFile", config.master_key_file},
                      {"adminSocket", "adminSocket", config.admin_socket},
                      {"metricsListen", "metricsListen", config.metrics_listen},
                      {"accessLog", "accessLog", config.access_log}}) {
    all.push_back(std::move(place));
  }
  return all;
}

}  // namespace

std::string how_they_meet(const Ipv4Endpoint& at, std::string_view name, const Ipv4Endpoint& other) {
  if (!overlap(at, other)) {
    return {};
  }
  return at == other ? fmt::format("is the address and port of {}", name)
                     : fmt::format("meets {} at {}: 0.0.0.0 is every address, and the kernel allows either", name,
                                   to_string(other));
}

std::string meets_a_listener(const Config& config, const Ipv4Endpoint& at) {
  for (const ListenerConfig& listener : config.listeners) {
    if (std::string met = how_they_meet(at, "a listener", listener.at); !met.empty()) {
      return met;
    }
  }
  return {};
}

void find_collisions(json::ObjectReader& root, const Config& config, const std::string& own_path) {
  msp::find_collisions(root, places(config, own_path));
  const auto metrics = parse_endpoint(config.metrics_listen);
  if (!metrics) {
    return;
  }
  std::string met = meets_a_listener(config, *metrics);
  if (met.empty()) {
    met = how_they_meet(*metrics, "tokens", config.tokens.at);
  }
  if (!met.empty()) {
    root.fail("metricsListen", met);
  }
}

}  // namespace msp::gateway
