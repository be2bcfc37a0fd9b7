// SPDX-License-Identifier: Apache-2.0
// Says at once when a file in the directory of the local rule files (protocol.md I.2) has changed.
// Owned by the assembly, on the control thread's loop; its callback runs there.
// Only a hint, and never trusted: whoever is called reads the files again, with all their checks. Where the kernel has
// no watch to give, or the directory is away, the poll that follows still reads them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "base/task.h"

namespace msp::rules {

class LocalWatch {
 public:
  /// From the first of many changes to the call: a burst of rewrites costs one reading in this time, and the last
  /// rewrite is always followed by one.
  static constexpr std::uint64_t kGatherMs = 50;

  /// An error means that the kernel gives no watch (limit of inotify instances): Source::kKernel.
  static Result<std::unique_ptr<LocalWatch>> start(Loop& loop, std::string directory, std::function<void()> changed);
  /// For start(), which makes the descriptor.
  LocalWatch(Loop& loop, Fd inotify, std::string directory, std::function<void()> changed);
  LocalWatch(const LocalWatch&) = delete;
  LocalWatch& operator=(const LocalWatch&) = delete;

  /// Watches the directory that has this name now: one that was moved or removed is no longer the place of the files.
  /// To be called now and then; returns at once where nothing has to be done. True: it is another one than before, or
  /// there is one again; its files have not been read.
  bool look_again();

 private:
  void on_events();
  Task<void> gather();

  Loop& loop_;
  Fd inotify_;
  std::string directory_;
  std::function<void()> changed_;
  int watched_ = -1;  ///< the kernel's number of the directory; -1: none
  bool pending_ = false;
  Signal wake_;
  Watch watch_;
  std::optional<Task<void>> task_;  // last: dies before what it uses
};

}  // namespace msp::rules
