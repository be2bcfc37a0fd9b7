// SPDX-License-Identifier: Apache-2.0
#include "base/file_path.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_error.h"

namespace msp::file {
namespace {

int try_open(const std::string& path, int flags, mode_t mode, bool no_symlinks) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_NO_MAGICLINKS | (no_symlinks ? RESOLVE_NO_SYMLINKS : 0);
  return static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how));
}

}  // namespace

PathParts split(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) {
    return {.directory = ".", .name = std::string(path)};
  }
  return {.directory = slash == 0 ? "/" : std::string(path.substr(0, slash)),
          .name = std::string(path.substr(slash + 1))};
}

Result<Fd> open_path(const std::string& path, int flags, mode_t mode, bool no_symlinks) {
  int fd = 0;
  do {
    fd = try_open(path, flags, mode, no_symlinks);
  } while (fd < 0 && errno == EINTR);
  if (fd >= 0) {
    return Fd(fd);
  }
  Error error = file_error("opening", path);
  if (error.code == ELOOP) {
    error.source = Source::kConfig;
    error.message = fmt::format("{} is a symbolic link, or one of its directories is", path);
    error.hint = fmt::format("configure the path that `realpath {}` prints, if you trust it", path);
  }
  return error;
}

Result<Fd> open_directory(const std::string& path, bool no_symlinks) {
  return open_path(path, O_RDONLY | O_DIRECTORY, 0, no_symlinks);
}

}  // namespace msp::file
