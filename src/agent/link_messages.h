// SPDX-License-Identifier: Apache-2.0
// What the monitor knows, as messages to the worker.
// Pure functions over snapshots; any thread.
// Nothing fails; what has a key in it is wiped by whoever sends it.
#pragma once

#include "identity/cgroups.h"
#include "identity/exe_pins.h"
#include "identity/names.h"
#include "link/message.h"
#include "proxy/gate.h"
#include "rules/publisher.h"

namespace msp::agent {

link::Names names_message(const identity::NameTable& names);
link::Pins pins_message(const identity::PinTable& pins);
link::Places places_message(const identity::CgroupTable& cgroups);
/// As the text that they were compiled from.
link::Rules rules_message(const rules::EffectiveItems& items, const policy::Snapshot& compiled);
link::Gate gate_message(const proxy::Gate& gate);

}  // namespace msp::agent
