// SPDX-License-Identifier: Apache-2.0
// mspctl vm event: what is scheduled for a machine, scheduling more, and ending it.
// Single-threaded, blocks on the host's admin socket.
// Exit codes as for the other verbs of mspctl vm.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int vm_event(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
