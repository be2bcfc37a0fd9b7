// SPDX-License-Identifier: Apache-2.0
// What a failed file call means to the person who reads of it.
// A pure function; any thread.
// Never fails: what is not known has no remedy.
#pragma once

#include <cerrno>
#include <string_view>

#include "base/result.h"

namespace msp::file {

/// "<what> <path>", from the errno of the call that has just failed, with what the reader can do.
Error file_error(std::string_view what, std::string_view path, int code = errno);

}  // namespace msp::file
