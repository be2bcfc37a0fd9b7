// SPDX-License-Identifier: Apache-2.0
// The checks of a status document beyond its form (protocol.md B.3), for its reader; others use status.h.
// Pure functions; any thread.
// What is wrong becomes a misfit; a member that has one already is not judged again.
#pragma once

#include "base/json_members.h"
#include "protocol/status.h"

namespace msp::protocol {

void check_meaning(const StatusDocument& document, json::Misfits& misfits);
/// Of misfits that are there.
Error refused(const json::Misfits& misfits);

}  // namespace msp::protocol
