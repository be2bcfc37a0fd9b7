// SPDX-License-Identifier: Apache-2.0
// The host's access log: lines go into a bounded ring on the loop's thread, a writer thread puts them into a file.
// append() and lost() belong to the loop's thread; the writer thread is the object's own and ends with it.
// Ring or disk full: lines are dropped whole, counted and said in the log; served requests before refusals.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "base/result.h"

namespace msp::gateway {

class AccessLog {
 public:
  static constexpr std::size_t kDefaultCapacity = 1 << 20;
  static constexpr std::uint64_t kSayEveryMs = 60'000;

  /// Appends to `path` (made with mode 0640); an empty path means standard output.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& path, std::size_t capacity = kDefaultCapacity);

  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  /// One line without its line feed. `important` lines (refusals) may use the last quarter of the ring.
  void append(std::string_view line, bool important);
  std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  AccessLog(Fd file, bool ours, std::size_t capacity);
  void put(std::uint64_t at, std::string_view bytes);
  void write_until_closed();
  void write_out(std::string_view lines);
  void note_failure(std::string_view unwritten, std::size_t of_last_line, int code);
  bool cut(std::size_t bytes);
  void say_losses(bool at_once);

  Fd file_;
  bool ours_;  // opened here, so that what we wrote may be cut off again
  std::vector<char> ring_;
  std::atomic<std::uint64_t> head_ = 0;  // bytes ever put in
  std::atomic<std::uint64_t> tail_ = 0;  // bytes ever taken out
  std::atomic<std::uint32_t> bell_ = 0;
  std::atomic<bool> closing_ = false;
  std::atomic<std::uint64_t> lost_ = 0;
  // The writer's own.
  std::string lines_;
  bool torn_ = false;       // the file ends in the middle of a line
  std::uint64_t said_ = 0;  // losses that the log knows of
  log::RateLimit failure_lines_{1, kSayEveryMs};
  log::RateLimit loss_lines_{1, kSayEveryMs};
  std::thread writer_;
};

}  // namespace msp::gateway
