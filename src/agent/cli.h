// SPDX-License-Identifier: Apache-2.0
// The command line of msp-agent, which is also that of the field's azure-proxy-agent (protocol.md H.1).
// Called by main; lives as long as the program.
// Exit codes: 0 stopped as asked, 1 could not start or go on, 2 wrong usage or configuration; --status has its own.
#pragma once

namespace msp::agent {

int run_cli(int argc, char** argv);

}  // namespace msp::agent
