// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/file.h"
#include "base/file_error.h"
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
      return file_error("removing the stale", name_);
    }
    // Owner only until owner, group and mode are set.
    constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    Fd fd(::openat(directory_.get(), name_.c_str(), kFlags, 0600));
    if (!fd) {
      return file_error("creating", name_);
    }
    there_ = true;
    return fd;
  }

  Result<void> rename_to(const std::string& name) {
    if (::renameat(directory_.get(), name_.c_str(), directory_.get(), name.c_str()) != 0) {
      return file_error("renaming", name_);
    }
    there_ = false;
    return {};
  }

 private:
  const Fd& directory_;
  std::string name_;
  bool there_ = false;
};

Result<void> sync(const Fd& fd, std::string_view what, std::string_view path) {
  int done = 0;
  do {
    done = ::fsync(fd.get());
  } while (done != 0 && errno == EINTR);
  return done == 0 ? Result<void>() : file_error(what, path);
}

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
  return how.durable ? sync(fd, "fsync of", "its content") : Result<void>();
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
  return how.durable ? sync(directory, "fsync of", "its directory") : Result<void>();
}

/// The remedy names the file itself, not its temporary name.
Error explained(Error error, const std::string& path) {
  if (error.source == Source::kKernel) {
    error.hint = file_error({}, path, error.code).hint;
  }
  return std::move(error).context(fmt::format("writing {}", path));
}

Result<void> sync_parent(const std::string& path) {
  const std::string parent = split(path).directory;
  auto fd = open_directory(parent, false);
  if (!fd) {
    return std::move(fd).error();
  }
  return sync(*fd, "fsync of", parent);
}

/// Creates what is missing of the path, parents with 0755. `parent_is_there`: then a name that is not found is the
/// path's own, as in /proc.
Result<void> make_directories(const std::string& path, mode_t mode, std::optional<uid_t> owner,
                              bool parent_is_there = false) {
  if (::mkdir(path.c_str(), mode) == 0) {
    auto fd = open_directory(path, true);
    if (!fd) {
      return std::move(fd).error();
    }
    if ((owner && ::fchown(fd->get(), *owner, static_cast<gid_t>(-1)) != 0) || ::fchmod(fd->get(), mode) != 0) {
      return file_error("setting owner and mode of", path);
    }
    // What is synced in it is lost with a directory whose own name is not on the disk.
    return sync_parent(path);
  }
  if (errno == EEXIST) {
    return {};
  }
  const PathParts parts = split(path);
  if (errno != ENOENT || parent_is_there || parts.name.empty() || parts.directory == "." || parts.directory == "/") {
    return file_error("making directory", path);
  }
  if (auto parent = make_directories(parts.directory, 0755, std::nullopt); !parent) {
    return parent;
  }
  return make_directories(path, mode, owner, true);
}

/// "/a/b//" is "/a/b".
std::string without_end(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
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
  if (auto made = make_directories(without_end(path), mode, owner); !made) {
    return made;
  }
  return check_directory(path, mode, owner);
}

Result<void> check_directory(const std::string& path, mode_t mode, std::optional<uid_t> owner) {
  auto fd = open_directory(without_end(path), true);
  if (!fd) {
    return std::move(fd).error();
  }
  struct stat st{};
  if (::fstat(fd->get(), &st) != 0) {
    return file_error("stat of", path);
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

Result<void> rename(const std::string& from, const std::string& to) {
  const PathParts parts = split(to);
  auto directory = open_directory(parts.directory, true);
  if (!directory) {
    return std::move(directory).error();
  }
  if (::renameat(directory->get(), split(from).name.c_str(), directory->get(), parts.name.c_str()) != 0) {
    return file_error("renaming to", to);
  }
  return sync(*directory, "fsync of", parts.directory);
}

Result<void> remove(const std::string& path) {
  const PathParts parts = split(path);
  auto directory = open_directory(parts.directory, true);
  if (!directory) {
    return directory.error().code == ENOENT ? Result<void>() : std::move(directory).error();
  }
  if (::unlinkat(directory->get(), parts.name.c_str(), 0) != 0) {
    return errno == ENOENT ? Result<void>() : file_error("removing", path);
  }
  return sync(*directory, "fsync of", parts.directory);
}

}  // namespace msp::file
