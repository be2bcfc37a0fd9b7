// SPDX-License-Identifier: Apache-2.0
// What the interposed calls share: which descriptors and paths are watched, the plan, the journal.
// Inside libmsp_file_faults.so only; every member is called with the lock of an Operation held.
// Never fails by itself: what it cannot understand it lets pass.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

#include "tests/support/faults/faults.h"

namespace msp::faults {

class Layer {
 public:
  /// Made at the first call, never destroyed: files are closed until the very end of a process.
  static Layer& get();
  /// The cheap question of every call.
  static bool active() { return active_.load(std::memory_order_acquire); }

  void watch(std::string root);
  /// Of a preloaded process; either file may be null.
  void configure(const char* root, const char* plan_file, const char* journal_file);
  /// Absolute, "" if it lies elsewhere; `at`: descriptor of a directory, or AT_FDCWD.
  std::string path_of(int at, const char* name) const;
  std::string path_of(int fd) const;
  void opened(int fd, std::string path);
  void closed(int fd);
  /// Counts the call; what is to be done with it.
  Effect next(Call kind, const char* name, const std::string& path);
  void note(Event event);
  std::string relative(const std::string& path) const;

  std::recursive_mutex lock;
  Plan* plan = &own_plan_;
  std::vector<std::string> calls;
  std::vector<Call> kinds;
  std::vector<Event> events;
  std::size_t open = 0;

 private:
  static constinit std::atomic<bool> active_;
  Plan own_plan_;
  std::string root_;
  int journal_ = -1;       ///< file of the journal; -1: in memory
  bool in_memory_ = true;  ///< a preloaded process keeps neither names nor events
  std::array<std::string, 4096> paths_;
};

/// One interposed call: holds the lock if it concerns the watched directory.
class Operation {
 public:
  Operation(Call kind, const char* name, int fd);
  Operation(Call kind, const char* name, int at, const char* path);
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation();

  bool watched() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  /// As in the journal.
  std::string relative() const { return Layer::get().relative(path_); }
  /// errno is set then.
  bool fails() const;
  /// Bytes that a transfer shall move.
  std::size_t cut(std::size_t size) const;
  bool takes_nothing() const { return effect_ == kNothing; }
  /// For the journal, if this call is watched.
  void note(Event event) const;

 private:
  void begin(Call kind, const char* name);
  std::string path_;
  Effect effect_ = kNone;
  bool locked_ = false;
};

}  // namespace msp::faults
