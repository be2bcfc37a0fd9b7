// SPDX-License-Identifier: Apache-2.0
// A log file in the existing agent's form (protocol.md H.4): a header of 34 characters before each line, a new file at
// 10 MiB, five files in all.
// One owner, which serialises the calls; every call blocks on the disk.
// A line that cannot be written is lost: this log is a copy for tools, the journal is the one that counts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp {

class RollingLog {
 public:
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{10} << 20;
  static constexpr std::size_t kMostFiles = 5;

  /// `path` of the current file, made with mode 0640; its folder (0750) is made if missing.
  static Result<RollingLog> open(const std::string& path, std::uint64_t max_bytes = kMaxBytes);

  /// `level`: "ERROR", "WARN", "INFO" or "DEBUG". `text` holds no line end.
  Result<void> write(std::string_view level, std::string_view text, std::int64_t unix_ns);

 private:
  RollingLog(std::string path, std::uint64_t max_bytes) : path_(std::move(path)), max_bytes_(max_bytes) {}
  Result<void> open_current();
  Result<void> roll(std::int64_t unix_ns);

  std::string path_;
  std::uint64_t max_bytes_;
  std::uint64_t size_ = 0;
  Fd file_;
};

}  // namespace msp
