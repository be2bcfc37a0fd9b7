// SPDX-License-Identifier: Apache-2.0
// The command line of msp-agent.
// Called by main; lives as long as the program.
// Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong usage or configuration.
#pragma once

namespace msp::agent {

int run_cli(int argc, char** argv);

}  // namespace msp::agent
