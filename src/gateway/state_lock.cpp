// SPDX-License-Identifier: Apache-2.0
#include "gateway/state_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>

namespace msp::gateway {

Result<Fd> hold_state_directory(const std::string& path) {
  Fd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    return errno_error("open " + path);
  }
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) {
    return directory;
  }
  if (errno != EWOULDBLOCK) {
    return errno_error("lock " + path);
  }
  return Error{.source = Source::kHost,
               .message = fmt::format("{} is held by another msp-host", path),
               .hint = "another process has the database open: one msp-host per state directory",
               .code = EBUSY};
}

}  // namespace msp::gateway
