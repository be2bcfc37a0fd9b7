// SPDX-License-Identifier: Apache-2.0
// Whose configuration a file is, where a program was given that of the other one.
// A pure function; any thread.
// It is for messages only: what cannot be told is the caller's own.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace msp {

/// "msp-agent" or "msp-host", by members that only one of them has; empty: it cannot be told.
std::string_view configured_program(const json::Value& document);

/// The remedy where `text` is not a configuration of `mine`, but of the other program; empty: it may be its own.
std::string not_configuration_of(std::string_view mine, std::string_view text);

}  // namespace msp
