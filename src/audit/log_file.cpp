// SPDX-License-Identifier: Apache-2.0
#include "audit/log_file.h"

#include <fmt/core.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/file.h"

namespace msp::audit {
namespace {

constexpr std::uint64_t kTailSize = 8192;  // longer than any line of ours

/// The last bytes of a file, at most kTailSize.
Result<std::string> tail_of(const Fd& fd, std::uint64_t size) {
  std::string out(std::min(size, kTailSize), '\0');
  const ssize_t got = ::pread(fd.get(), out.data(), out.size(), static_cast<off_t>(size - out.size()));
  if (got < 0) {
    return errno_error("reading the end of the audit log");
  }
  out.resize(static_cast<std::size_t>(got));
  return out;
}

bool is_clean_end(std::string_view tail) {
  if (!tail.ends_with('\n')) {
    return false;
  }
  tail.remove_suffix(1);
  const std::size_t newline = tail.rfind('\n');
  return tail.substr(newline == std::string_view::npos ? 0 : newline + 1).starts_with(LogFile::kEndPrefix);
}

}  // namespace

std::string_view to_string(PreviousEnd end) {
  switch (end) {
    case PreviousEnd::kNone:
      return "none";
    case PreviousEnd::kClean:
      return "clean";
    case PreviousEnd::kUnclean:
      return "unclean";
    case PreviousEnd::kUnknown:
      return "unknown";
  }
  return "unknown";
}

bool LogFile::may_pass(const Error& error) {
  constexpr std::array kPassing = {ENOSPC, EDQUOT, EROFS, EIO, EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR, EFBIG};
  return std::ranges::find(kPassing, error.code) != kPassing.end();
}

Result<PreviousEnd> LogFile::open() {
  if (auto opened = reopen(); !opened) {
    return std::move(opened).error();
  }
  if (size_ == 0) {
    struct stat st{};
    // Between the renaming of a full file and the first line of the next one there is a moment without any line.
    return ::lstat(old_name(1).c_str(), &st) == 0 ? PreviousEnd::kUnclean : PreviousEnd::kNone;
  }
  auto tail = tail_of(fd_, size_);
  if (!tail) {
    return std::move(tail).error();
  }
  return is_clean_end(*tail) ? PreviousEnd::kClean : PreviousEnd::kUnclean;
}

Result<void> LogFile::reopen() {
  fd_.reset();
  auto fd = file::open_for_append(settings_.path, settings_.mode);
  if (!fd) {
    return std::move(fd).error();
  }
  struct stat st{};
  if (::fstat(fd->get(), &st) != 0) {
    return errno_error(fmt::format("stat of {}", settings_.path));
  }
  size_ = static_cast<std::uint64_t>(st.st_size);
  auto tail = tail_of(*fd, size_);
  if (!tail) {
    return std::move(tail).error();
  }
  // Two writers would end each other's runs and tear each other's lines.
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    return Error{.source = Source::kConfig,
                 .message = fmt::format("another process writes {}", settings_.path),
                 .hint = "stop it, or give each agent an auditFile of its own",
                 .code = EBUSY};
  }
  torn_ = !tail->empty() && tail->back() != '\n';
  fd_ = std::move(*fd);
  return {};
}

Result<bool> LogFile::moved_away() {
  struct stat ours{};
  struct stat named{};
  if (::fstat(fd_.get(), &ours) != 0) {
    return errno_error(fmt::format("stat of {}", settings_.path));
  }
  size_ = static_cast<std::uint64_t>(ours.st_size);
  return ::lstat(settings_.path.c_str(), &named) != 0 || named.st_ino != ours.st_ino || named.st_dev != ours.st_dev;
}

Result<void> LogFile::append(std::string_view lines, bool look, const std::function<std::string()>& opening) {
  bool moved = !fd_;
  if (!moved && (look || big())) {
    auto checked = moved_away();
    if (!checked) {
      return std::move(checked).error();
    }
    moved = *checked;
  }
  if (moved) {
    if (auto opened = reopen(); !opened) {
      return opened;
    }
  } else if (big()) {
    if (auto rotated = rotate(opening()); !rotated) {
      return rotated;
    }
  }
  return append_whole(lines);
}

Result<void> LogFile::rotate(std::string_view opening) {
  const unsigned keep = std::max(settings_.keep, 1U);
  for (unsigned i = keep; i > 1; --i) {
    if (::rename(old_name(i - 1).c_str(), old_name(i).c_str()) != 0 && errno != ENOENT) {
      return errno_error(fmt::format("renaming {}", old_name(i - 1)));
    }
  }
  if (::rename(settings_.path.c_str(), old_name(1).c_str()) != 0) {
    return errno_error(fmt::format("renaming {}", settings_.path));
  }
  ++rotations_;
  if (auto opened = reopen(); !opened) {
    return opened;
  }
  return append_whole(opening);
}

Result<void> LogFile::append_whole(std::string_view lines) {
  if (torn_) {
    if (auto ended = file::write_all(fd_, "\n"); !ended) {
      return ended;
    }
    torn_ = false;
    ++size_;
  }
  std::size_t written = 0;
  auto done = file::write_all(fd_, lines, &written);
  if (done) {
    size_ += written;
    return {};
  }
  take_back(written);
  return std::move(done).error().context(fmt::format("writing {}", settings_.path));
}

/// The last bytes again: half a line would spoil the file, whole lines would be written twice.
void LogFile::take_back(std::size_t bytes) {
  struct stat now{};
  if (bytes != 0 && (::fstat(fd_.get(), &now) != 0 || std::cmp_less(now.st_size, bytes) ||
                     ::ftruncate(fd_.get(), now.st_size - static_cast<off_t>(bytes)) != 0)) {
    torn_ = true;
  }
}

}  // namespace msp::audit
