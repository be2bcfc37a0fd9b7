// SPDX-License-Identifier: Apache-2.0
#include "base/file_error.h"

#include <fmt/core.h>

namespace msp::file {
namespace {

std::string remedy(std::string_view path, int code) {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return "free some space; the old content stays until then";
    case EROFS:
      return "the file system is read-only: see why (dmesg), then remount it writable";
    case EIO:
      return "the disk fails: see the kernel's log (dmesg)";
    case EACCES:
    case EPERM:
      return fmt::format("see owners and modes with `namei -l {}`, then what else may forbid it (sandbox, SELinux)",
                         path);
    case EMFILE:
    case ENFILE:
      return "too many files are open: raise the limit (LimitNOFILE, fs.file-max)";
    case EINTR:
      return "it was interrupted; it is tried again";
    default:
      return {};
  }
}

}  // namespace

Error file_error(std::string_view what, std::string_view path, int code) {
  Error error = errno_error(fmt::format("{} {}", what, path), code);
  error.hint = remedy(path, code);
  return error;
}

}  // namespace msp::file
