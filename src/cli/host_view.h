// SPDX-License-Identifier: Apache-2.0
// What msp-host's admin API answers, for people. Pure functions from JSON to text; any thread.
// Texts come from operators and guests and are escaped; a member that is missing shows as a dash.
#pragma once

#include <string>

#include "base/json.h"

namespace msp::cli {

std::string machines_view(const json::Value& list);
/// What is known of a machine's key, and what to do about it.
std::string key_view(const json::Value& machine);
std::string recipient_view(const json::Value& recipient);
std::string scale_sets_view(const json::Value& list);
std::string profiles_view(const json::Value& list);
/// What a guest's agents have reported.
std::string reports_view(const json::Value& reports);
/// What is scheduled for a machine.
std::string events_view(const json::Value& events);
/// What came of a change, or would come.
std::string outcome_view(const json::Value& outcome);

}  // namespace msp::cli
