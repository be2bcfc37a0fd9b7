// SPDX-License-Identifier: Apache-2.0
// The outcome of a simulation for a person's eyes, and for programs (docs/mspctl-policy.md).
// Pure functions; any thread.
// Never fail; texts come from logs and are escaped for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "authoring/simulation.h"

namespace msp::cli {

struct SimulateContext {
  const authoring::Simulation& simulation;
  std::string_view rules;    ///< file of the rules
  std::string_view against;  ///< file of the other version; empty: compared with what was recorded
  std::size_t most_rows = SIZE_MAX;
};

std::string simulate_view(const SimulateContext& context);
std::string simulate_json(const SimulateContext& context);

}  // namespace msp::cli
