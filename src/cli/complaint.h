// SPDX-License-Identifier: Apache-2.0
// What went wrong and what to do about it, as all verbs say it on standard error.
// A pure function; any thread.
// Texts may come from anybody: each of their lines is escaped, so that only we begin new ones.
#pragma once

#include <string>
#include <string_view>

namespace msp::cli {

/// "WHO: WHAT", on as many lines as WHAT has, and "  -> REMEDY" where there is one.
std::string complaint(std::string_view who, std::string_view what, std::string_view remedy);

}  // namespace msp::cli
