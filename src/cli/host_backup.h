// SPDX-License-Identifier: Apache-2.0
// `mspctl host backup FILE`: the whole database of a running msp-host, as it is at one moment (docs/host-backup.md).
// Called by the verb; single-threaded, blocks.
// The file is there whole, on the disk and for its owner only, or as it was before.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace msp::cli {

int host_backup(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace msp::cli
