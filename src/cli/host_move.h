// SPDX-License-Identifier: Apache-2.0
// mspctl vm export and import: a machine with its latch from one host to another (docs/disks.md).
// Single-threaded, blocks on the host's admin socket and on one file.
// Exit codes as for the other verbs of mspctl vm. What was exported is not lost when its file cannot be written.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int vm_export(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);
int vm_import(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
