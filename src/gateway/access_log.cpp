// SPDX-License-Identifier: Apache-2.0
#include "gateway/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

namespace msp::gateway {
namespace {
constexpr std::chrono::milliseconds kGather{10};
}

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path, std::size_t capacity) {
  Fd file(path.empty() ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                       : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!file) {
    Error error = errno_error("open access log " + (path.empty() ? std::string("on standard output") : path));
    error.source = Source::kConfig;
    error.hint = "accessLog names the file; its directory must exist and be writable";
    return error;
  }
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(file), capacity));
}

AccessLog::AccessLog(Fd file, std::size_t capacity)
    : file_(std::move(file)), ring_(capacity), writer_([this] { write_until_closed(); }) {}

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
      const std::size_t offset = tail % ring_.size();
      const std::size_t count = std::min<std::uint64_t>(head - tail, ring_.size() - offset);
      write_out({ring_.data() + offset, count});
      tail_.store(tail + count, std::memory_order_seq_cst);
      continue;
    }
    if (closing) {
      return;
    }
    bell_.wait(bell, std::memory_order_acquire);
    // Under load one wake-up serves the requests of a moment, not one each.
    if (!closing_.load(std::memory_order_acquire)) {
      std::this_thread::sleep_for(kGather);
    }
  }
}

void AccessLog::write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file_.get(), bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      lost_.fetch_add(static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n')),
                      std::memory_order_relaxed);
      return;
    }
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace msp::gateway
