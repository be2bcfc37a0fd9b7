// SPDX-License-Identifier: Apache-2.0
// What the verbs that talk to msp-agent have in common: where its control socket is, and asking it.
// Called by the verbs; single-threaded, blocks for a file and for the answer.
// Whatever is wrong is an Error of two whole sentences, what and what to do, that name the socket and how it was found.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}

namespace msp::cli {

/// As the options say; empty: not said. The socket goes first.
struct AgentAddress {
  std::string config = {};
  std::string socket = {};
};
void add_agent_options(CLI::App& app, AgentAddress& address);

/// Body of the agent's 200. `command` ("mspctl status") is for remedies.
Result<std::string> ask_agent(const AgentAddress& address, std::string_view target, std::string_view command);

}  // namespace msp::cli
