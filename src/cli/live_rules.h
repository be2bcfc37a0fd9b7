// SPDX-License-Identifier: Apache-2.0
// The rules in force on this machine, asked of the agent that runs.
// Called by the verbs of `mspctl policy`; single-threaded, blocks for the answer.
// An agent that does not answer, and one that has no rules to decide by yet, is an Error with what to do: never a set
// of rules that allows.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "authoring/rule_source.h"
#include "base/net.h"
#include "base/result.h"
#include "cli/agent_socket.h"
#include "policy/ruleset.h"

namespace msp::cli {

struct LiveRules {
  std::string text;  ///< as the agent has written it (docs/status.md)
  authoring::RuleSource source;
  policy::Matching matching = policy::Matching::kEnforce;
  std::uint64_t generation = 0;
  std::array<std::string, kServiceCount> origin;  ///< "from the host", …; index: Service
  std::vector<std::string> remarks;               ///< what keeps requests from being decided so
};

Result<LiveRules> live_rules(const AgentAddress& agent, std::string_view command);

}  // namespace msp::cli
