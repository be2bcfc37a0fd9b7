// SPDX-License-Identifier: Apache-2.0
// A snapshot as JSON: ours for `mspctl` (docs/status.md), and the field's for its readers (protocol.md H.3, G.2).
// Pure functions over a value; any thread.
// Never fails; texts that are no UTF-8 are repaired, long messages are cut at a character (L.22).
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "status/snapshot.h"

namespace msp::status {

/// `GET /v1/status` of the control socket.
std::string status_json(const Snapshot& snapshot);

/// kPretty for status.json, kCompact for `/gpa-aggregated-status`. SUCCESS is said only where a key is in use or the
/// host has the channel disabled (L.28). `where`: path of status.json, for its own message; may be empty.
std::string aggregate_json(const Snapshot& snapshot, json::Style style, std::string_view where);

}  // namespace msp::status
