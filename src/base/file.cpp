// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/file_error.h"
#include "base/file_path.h"

namespace msp::file {
namespace {

Error unsafe(std::string message, std::string hint) { return config_error(std::move(message), std::move(hint)); }

Result<void> check_owner(const struct stat& st, std::string_view path, const Trust& trust) {
  if (trust.owner && st.st_uid != *trust.owner && st.st_uid != 0) {
    return unsafe(fmt::format("{} belongs to user {}, not {}", path, st.st_uid, *trust.owner),
                  fmt::format("if you trust it: chown {} {}", *trust.owner, path));
  }
  if ((st.st_mode & trust.forbidden & 07777) != 0) {
    return unsafe(fmt::format("{} has mode {:04o}: others can {} it", path, st.st_mode & 07777,
                              (st.st_mode & trust.forbidden & 0022) != 0 ? "change" : "read"),
                  fmt::format("chmod {:04o} {}", st.st_mode & 07777 & ~trust.forbidden, path));
  }
  return {};
}

/// What is checked on the descriptor of a file, whatever it was opened for.
Result<void> check_file(const Fd& fd, const std::string& path, const Trust& trust) {
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) {
    return file_error("stat of", path);
  }
  if (!S_ISREG(st.st_mode)) {
    return unsafe(fmt::format("{} is no regular file", path), {});
  }
  if (trust.one_link && st.st_nlink != 1) {
    return unsafe(fmt::format("{} has {} names, expected one", path, st.st_nlink),
                  fmt::format("find the others: find / -xdev -samefile {}", path));
  }
  return check_owner(st, path, trust);
}

Result<void> check_directory_of(const std::string& path, const Trust& trust) {
  auto directory = open_directory(split(path).directory, trust.no_symlinks);
  if (!directory) {
    return std::move(directory).error();
  }
  struct stat st{};
  if (::fstat(directory->get(), &st) != 0) {
    return file_error("stat of the directory of", path);
  }
  Trust of_directory = trust;
  of_directory.forbidden = 0022;
  // A sticky directory (/tmp) keeps strangers from renaming what is not theirs.
  if ((st.st_mode & S_ISVTX) != 0) {
    of_directory.forbidden = 0;
  }
  return check_owner(st, split(path).directory, of_directory);
}

/// Hands pieces of at most `max` bytes in all to f(piece); an error if there are more.
template <class F>
Result<void> read_pieces(const Fd& fd, const std::string& path, std::size_t max, F&& f) {
  std::array<char, 16384> buffer{};
  std::size_t total = 0;
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return file_error("reading", path);
    }
    if (got == 0) {
      ::explicit_bzero(buffer.data(), buffer.size());
      return {};
    }
    total += static_cast<std::size_t>(got);
    if (total > max) {
      return unsafe(fmt::format("{} has more than {} bytes", path, max), "is this the right file?");
    }
    f(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }
}

}  // namespace

Trust private_state() {
  return {.owner = ::geteuid(), .forbidden = 0077, .one_link = true, .no_symlinks = true, .check_directory = true};
}

Trust configuration() {
  return {.owner = ::geteuid(), .forbidden = 0022, .one_link = false, .no_symlinks = false, .check_directory = true};
}

Result<Fd> open_checked(const std::string& path, const Trust& trust) {
  // Non-blocking, so that a FIFO in the file's place cannot hold us.
  auto fd = open_path(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, trust.no_symlinks);
  if (!fd) {
    return fd;
  }
  if (auto good = check_file(*fd, path, trust); !good) {
    return std::move(good).error();
  }
  if (trust.check_directory) {
    if (auto good = check_directory_of(path, trust); !good) {
      return std::move(good).error();
    }
  }
  return fd;
}

Result<Fd> open_for_append(const std::string& path, mode_t mode) {
  auto fd = open_path(path, O_RDWR | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY, mode, true);
  if (!fd) {
    return fd;
  }
  const Trust ours{
      .owner = ::geteuid(), .forbidden = 0, .one_link = true, .no_symlinks = true, .check_directory = false};
  if (auto good = check_file(*fd, path, ours); !good) {
    return std::move(good).error();
  }
  if (::fchmod(fd->get(), mode) != 0) {
    return file_error("setting the mode of", path);
  }
  return fd;
}

Result<std::string> read(const std::string& path, const Trust& trust, std::size_t max_bytes) {
  auto fd = open_checked(path, trust);
  if (!fd) {
    return std::move(fd).error();
  }
  std::string out;
  auto done = read_pieces(*fd, path, max_bytes, [&](std::string_view piece) { out += piece; });
  if (!done) {
    return std::move(done).error();
  }
  return out;
}

Result<Secret> read_secret(const std::string& path, const Trust& trust, std::size_t max_bytes) {
  auto fd = open_checked(path, trust);
  if (!fd) {
    return std::move(fd).error();
  }
  Secret out(max_bytes);
  std::size_t size = 0;
  auto done = read_pieces(*fd, path, max_bytes, [&](std::string_view piece) {
    std::copy(piece.begin(), piece.end(), out.writable().begin() + static_cast<std::ptrdiff_t>(size));
    size += piece.size();
  });
  if (!done) {
    return std::move(done).error();
  }
  out.truncate(size);
  return out;
}

Result<void> write_all(const Fd& fd, std::string_view bytes, std::size_t* count) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    // A file that takes nothing and gives no reason would be asked for ever.
    if (written <= 0) {
      return errno_error("write", written < 0 ? errno : EIO);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    if (count != nullptr) {
      *count += static_cast<std::size_t>(written);
    }
  }
  return {};
}

Result<std::vector<std::string>> list(const std::string& path) {
  auto fd = open_path(path, O_RDONLY | O_DIRECTORY, 0, false);
  if (!fd) {
    return std::move(fd).error();
  }
  struct Close {
    void operator()(DIR* d) const { ::closedir(d); }
  };
  const std::unique_ptr<DIR, Close> directory(::fdopendir(fd->get()));
  if (!directory) {
    return file_error("reading directory", path);
  }
  (void)fd->release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  if (errno != 0) {
    return file_error("reading directory", path);
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace msp::file
