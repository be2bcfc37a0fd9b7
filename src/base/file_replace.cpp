// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/file_path.h"

namespace msp::file {
namespace {

/// Takes the temporary name away again unless it was renamed.
class TemporaryName {
 public:
  TemporaryName(const Fd& directory, std::string name) : directory_(directory), name_(std::move(name)) {}
  TemporaryName(const TemporaryName&) = delete;
  TemporaryName& operator=(const TemporaryName&) = delete;
  ~TemporaryName() {
    if (there_) {
      ::unlinkat(directory_.get(), name_.c_str(), 0);
    }
  }

  Result<Fd> create() {
    // A crash may have left one; whoever else could have made it could not write to this directory.
    if (::unlinkat(directory_.get(), name_.c_str(), 0) != 0 && errno != ENOENT) {
      return errno_error(fmt::format("removing the stale {}", name_));
    }
    // Owner only until owner, group and mode are set.
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    Fd fd(::openat(directory_.get(), name_.c_str(), kFlags, 0600));
    if (!fd) {
      return errno_error(fmt::format("creating {}", name_));
    }
    there_ = true;
    return fd;
  }

  Result<void> rename_to(const std::string& name) {
    if (::renameat(directory_.get(), name_.c_str(), directory_.get(), name.c_str()) != 0) {
      return errno_error(fmt::format("renaming {}", name_));
    }
    there_ = false;
    return {};
  }

 private:
  const Fd& directory_;
  std::string name_;
  bool there_ = false;
};

Result<void> fill(const Fd& fd, std::string_view content, const Replace& how) {
  if ((how.owner || how.group) &&
      ::fchown(fd.get(), how.owner.value_or(static_cast<uid_t>(-1)), how.group.value_or(static_cast<gid_t>(-1))) != 0) {
    return errno_error("changing the owner");
  }
  if (::fchmod(fd.get(), how.mode) != 0) {
    return errno_error("changing the mode");
  }
  if (auto written = write_all(fd, content); !written) {
    return written;
  }
  if (how.durable && ::fsync(fd.get()) != 0) {
    return errno_error("fsync");
  }
  return {};
}

Result<void> sync_directory(const Fd& directory) {
  return ::fsync(directory.get()) == 0 ? Result<void>() : errno_error("fsync of the directory");
}

Result<void> replace_in(const Fd& directory, const std::string& name, std::string_view content, const Replace& how) {
  TemporaryName temporary(directory, "." + name + ".tmp");
  auto fd = temporary.create();
  if (!fd) {
    return std::move(fd).error();
  }
  if (auto filled = fill(*fd, content, how); !filled) {
    return filled;
  }
  if (auto renamed = temporary.rename_to(name); !renamed) {
    return renamed;
  }
  return how.durable ? sync_directory(directory) : Result<void>();
}

Error explained(Error error, const std::string& path) {
  if (error.code == ENOSPC || error.code == EDQUOT) {
    error.hint = "free some space; the old content stays until then";
  } else if (error.code == EROFS) {
    error.hint = "the file system is read-only";
  }
  return std::move(error).context(fmt::format("writing {}", path));
}

/// Creates what is missing of the path, parents with 0755.
Result<void> make_directories(const std::string& path, mode_t mode, std::optional<uid_t> owner) {
  if (::mkdir(path.c_str(), mode) == 0) {
    auto fd = open_directory(path, true);
    if (!fd) {
      return std::move(fd).error();
    }
    if ((owner && ::fchown(fd->get(), *owner, static_cast<gid_t>(-1)) != 0) || ::fchmod(fd->get(), mode) != 0) {
      return errno_error(fmt::format("setting owner and mode of {}", path));
    }
    return {};
  }
  if (errno == EEXIST) {
    return {};
  }
  const PathParts parts = split(path);
  if (errno != ENOENT || parts.name.empty() || parts.directory == "." || parts.directory == "/") {
    return errno_error(fmt::format("making directory {}", path));
  }
  if (auto parent = make_directories(parts.directory, 0755, std::nullopt); !parent) {
    return parent;
  }
  return make_directories(path, mode, owner);
}

}  // namespace

Result<void> replace(const std::string& path, std::string_view content, const Replace& how) {
  const PathParts parts = split(path);
  if (parts.name.empty()) {
    return config_error(fmt::format("{} names no file", path));
  }
  auto directory = open_directory(parts.directory, true);
  if (!directory) {
    return explained(std::move(directory).error(), path);
  }
  auto done = replace_in(*directory, parts.name, content, how);
  if (!done) {
    return explained(std::move(done).error(), path);
  }
  return {};
}

Result<void> ensure_directory(const std::string& path, mode_t mode, std::optional<uid_t> owner) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.back() == '/') {
    trimmed.pop_back();
  }
  if (auto made = make_directories(trimmed, mode, owner); !made) {
    return made;
  }
  auto fd = open_directory(trimmed, true);
  if (!fd) {
    return std::move(fd).error();
  }
  struct stat st{};
  if (::fstat(fd->get(), &st) != 0) {
    return errno_error(fmt::format("stat of {}", path));
  }
  const uid_t expected = owner.value_or(::geteuid());
  if (st.st_uid != expected) {
    return config_error(fmt::format("directory {} belongs to user {}, not {}", path, st.st_uid, expected),
                        fmt::format("look who made it; if you trust its content: chown {} {}", expected, path));
  }
  if ((st.st_mode & 07777 & ~mode) != 0) {
    return config_error(fmt::format("directory {} has mode {:04o}, expected {:04o}", path, st.st_mode & 07777, mode),
                        fmt::format("look who changed it; if you trust its content: chmod {:04o} {}", mode, path));
  }
  return {};
}

Result<void> remove(const std::string& path) {
  const PathParts parts = split(path);
  auto directory = open_directory(parts.directory, true);
  if (!directory) {
    return directory.error().code == ENOENT ? Result<void>() : std::move(directory).error();
  }
  if (::unlinkat(directory->get(), parts.name.c_str(), 0) != 0) {
    return errno == ENOENT ? Result<void>() : errno_error(fmt::format("removing {}", path));
  }
  return sync_directory(*directory);
}

}  // namespace msp::file
