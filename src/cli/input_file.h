// SPDX-License-Identifier: Apache-2.0
// A file that a user names, or standard input for "-".
// Called by the verbs of mspctl; single-threaded, blocks.
// A file that cannot be opened is an Error with what to do; what `read` returns is passed on.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "base/result.h"

namespace msp::cli {

/// Calls read(stream, name for messages).
Result<void> with_input(const std::string& path,
                        const std::function<Result<void>(std::istream& in, const std::string& name)>& read);

}  // namespace msp::cli
