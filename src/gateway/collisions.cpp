// SPDX-License-Identifier: Apache-2.0
#include "gateway/collisions.h"

#include <algorithm>
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

void find_collisions(json::ObjectReader& root, const Config& config, const std::string& own_path) {
  msp::find_collisions(root, places(config, own_path));
  const auto metrics = parse_endpoint(config.metrics_listen);
  if (!metrics) {
    return;
  }
  if (std::ranges::find(config.listeners, *metrics, &ListenerConfig::at) != config.listeners.end()) {
    root.fail("metricsListen", "is the address and port of a listener");
  } else if (*metrics == config.tokens.at) {
    root.fail("metricsListen", "is the address and port of tokens");
  }
}

}  // namespace msp::gateway
