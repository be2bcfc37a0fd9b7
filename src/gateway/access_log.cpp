// SPDX-License-Identifier: Apache-2.0
#include "gateway/access_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace msp::gateway {
namespace {

constexpr std::chrono::milliseconds kGather{10};

std::uint64_t now_ms() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
}

}  // namespace

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path, std::size_t capacity) {
  Fd file(path.empty() ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                       : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!file) {
    Error error = errno_error("open access log " + (path.empty() ? std::string("on standard output") : path));
    error.source = Source::kConfig;
    error.hint = "accessLog names the file; its directory must exist and be writable";
    return error;
  }
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(file), !path.empty(), capacity));
}

AccessLog::AccessLog(Fd file, bool ours, std::size_t capacity)
    : file_(std::move(file)), ours_(ours), ring_(capacity), writer_([this] { write_until_closed(); }) {}

AccessLog::~AccessLog() {
  closing_.store(true, std::memory_order_release);
  bell_.fetch_add(1, std::memory_order_release);
  bell_.notify_one();
  writer_.join();
}

void AccessLog::put(std::uint64_t at, std::string_view bytes) {
  const std::size_t offset = at % ring_.size();
  const std::size_t first = std::min(bytes.size(), ring_.size() - offset);
  std::memcpy(ring_.data() + offset, bytes.data(), first);
  std::memcpy(ring_.data(), bytes.data() + first, bytes.size() - first);
}

void AccessLog::append(std::string_view line, bool important) {
  const std::uint64_t head = head_.load(std::memory_order_relaxed);
  const std::uint64_t used = head - tail_.load(std::memory_order_acquire);
  const std::uint64_t allowed = important ? ring_.size() : ring_.size() / 4 * 3;
  if (used + line.size() + 1 > allowed) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  put(head, line);
  put(head + line.size(), "\n");
  head_.store(head + line.size() + 1, std::memory_order_seq_cst);
  // Only an empty ring can have put the writer to sleep; read after the store, or a sleep just begun would be missed.
  if (tail_.load(std::memory_order_seq_cst) == head) {
    bell_.fetch_add(1, std::memory_order_release);
    bell_.notify_one();
  }
}

void AccessLog::write_until_closed() {
  for (;;) {
    const std::uint32_t bell = bell_.load(std::memory_order_acquire);
    const bool closing = closing_.load(std::memory_order_acquire);
    const std::uint64_t head = head_.load(std::memory_order_seq_cst);
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (head != tail) {
      // Whole lines in one piece: where the ring wraps, a line must not be written by halves.
      const std::size_t offset = tail % ring_.size();
      const std::size_t first = std::min<std::uint64_t>(head - tail, ring_.size() - offset);
      lines_.assign(ring_.data() + offset, first);
      lines_.append(ring_.data(), head - tail - first);
      write_out(lines_);
      tail_.store(head, std::memory_order_seq_cst);
      continue;
    }
    if (closing) {
      say_losses(true);
      return;
    }
    bell_.wait(bell, std::memory_order_acquire);
    // Under load one wake-up serves the requests of a moment, not one each.
    if (!closing_.load(std::memory_order_acquire)) {
      std::this_thread::sleep_for(kGather);
    }
  }
}

void AccessLog::write_out(std::string_view lines) {
  std::string_view rest = lines;
  while (!rest.empty()) {
    const std::string_view next = torn_ ? std::string_view("\n") : rest;
    const ssize_t count = ::write(file_.get(), next.data(), next.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      const int code = errno;
      const std::string_view written = lines.substr(0, lines.size() - rest.size());
      note_failure(rest, written.size() - (written.rfind('\n') + 1), code);
      return;
    }
    if (torn_) {
      torn_ = count == 0;
    } else {
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  say_losses(false);
}

void AccessLog::note_failure(std::string_view unwritten, std::size_t of_last_line, int code) {
  lost_.fetch_add(static_cast<std::uint64_t>(std::count(unwritten.begin(), unwritten.end(), '\n')),
                  std::memory_order_relaxed);
  if (of_last_line != 0) {
    torn_ = !cut(of_last_line);
  }
  if (failure_lines_.admit(now_ms())) {
    Error error = errno_error("the access log cannot be written", code);
    error.hint = "requests go on, their lines are lost until it can be written again: look at its disk";
    log::write(error);
  }
}

// A line by halves would stop readers of the file. Only where nobody has written behind it.
bool AccessLog::cut(std::size_t bytes) {
  struct stat status{};
  const off_t end = ::lseek(file_.get(), 0, SEEK_CUR);
  return ours_ && end >= static_cast<off_t>(bytes) && ::fstat(file_.get(), &status) == 0 && status.st_size == end &&
         ::ftruncate(file_.get(), end - static_cast<off_t>(bytes)) == 0;
}

void AccessLog::say_losses(bool at_once) {
  const std::uint64_t lost = lost_.load(std::memory_order_relaxed);
  if (lost != said_ && (at_once || loss_lines_.admit(now_ms()))) {
    log::warn("{} lines of the access log were lost ({} since the start)", lost - said_, lost);
    said_ = lost;
  }
}

}  // namespace msp::gateway
