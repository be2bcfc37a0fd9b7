// SPDX-License-Identifier: Apache-2.0
// Opening paths without following symbolic links, for file*.cpp.
// Pure functions and system calls; any thread that may block.
// Errors name the path; a refused link says so.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp::file {

struct PathParts {
  std::string directory;  ///< "." for a bare name
  std::string name;
};
PathParts split(std::string_view path);

/// open(2), close-on-exec; with no_symlinks no component may be a link, else the last may not only if flags say so.
Result<Fd> open_path(const std::string& path, int flags, mode_t mode, bool no_symlinks);
Result<Fd> open_directory(const std::string& path, bool no_symlinks);

}  // namespace msp::file
