// SPDX-License-Identifier: Apache-2.0
// The agent's status for a person's eyes.
// Pure function of the status JSON (docs/status.md); any thread.
// Never fails: what is missing is left out; text that came from clients is escaped, so it cannot steer a terminal.
#pragma once

#include <string>

#include "base/json.h"

namespace msp::cli {

std::string status_view(const json::Value& status);

}  // namespace msp::cli
