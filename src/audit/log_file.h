// SPDX-License-Identifier: Apache-2.0
// The file behind the audit log: appended in batches, rotated by size, whole lines only.
// Owned by the writer thread (opened before it starts).
// A failed write leaves no part of the batch behind; the caller tries again later.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp::audit {

/// How the run before ended, as far as the file tells. kNone: there was none.
enum class PreviousEnd : std::uint8_t { kNone, kClean, kUnclean, kUnknown };
std::string_view to_string(PreviousEnd end);

class LogFile {
 public:
  struct Settings {
    std::string path;
    mode_t mode = 0600;
    std::uint64_t rotate_bytes = 0;
    unsigned keep = 1;
  };
  explicit LogFile(Settings settings) : settings_(std::move(settings)) {}

  /// Opens and looks at the last line.
  Result<PreviousEnd> open();
  /// Appends whole lines, all or nothing. Starts a new file first if this one is too big; `opening` makes its first
  /// line then. `look`: see whether the file was moved away or cut by somebody; a file moved away, or never opened, is
  /// opened again.
  Result<void> append(std::string_view lines, bool look, const std::function<std::string()>& opening);

  std::uint64_t rotations() const { return rotations_; }

  /// Disk full, read-only, out of descriptors …: worth trying again, in contrast to an unsafe file.
  static bool may_pass(const Error& error);

  /// The line that a clean end leaves begins so.
  static constexpr std::string_view kEndPrefix = R"({"event":"end")";

 private:
  Result<void> reopen();
  bool big() const { return size_ >= settings_.rotate_bytes; }
  /// Knows the file's size afterwards.
  Result<bool> moved_away();
  Result<void> rotate(std::string_view opening);
  Result<void> append_whole(std::string_view lines);
  void take_back(std::size_t bytes);
  std::string old_name(unsigned index) const { return settings_.path + '.' + std::to_string(index); }

  Settings settings_;
  Fd fd_;
  std::uint64_t size_ = 0;  // when it was looked at last, and what was appended since
  bool torn_ = false;       // the file does not end with a newline
  std::uint64_t rotations_ = 0;
};

}  // namespace msp::audit
