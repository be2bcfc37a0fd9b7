// SPDX-License-Identifier: Apache-2.0
// Who asks, in the options of a verb: described by the author, or a process that runs on this machine.
// Used by one verb; single-threaded, reads /proc and the user database for a live process.
// A process that is gone or may not be looked at is an Error.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "authoring/caller.h"
#include "base/result.h"
#include "base/rules_document.h"

namespace CLI {
class App;
}

namespace msp::cli {

struct CallerOptions {
  authoring::Caller words;
  std::optional<std::uint32_t> pid;

  /// `item`: whose executables a live process is compared with, file by file, as the agent does; may be null.
  Result<identity::ConnectionIdentity> resolve(const RuleItem* item) const;
};

void add_caller_options(CLI::App& app, CallerOptions& options);

}  // namespace msp::cli
