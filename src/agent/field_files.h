// SPDX-License-Identifier: Apache-2.0
// The files that the existing agent leaves for others: status.json, rule dumps beside it, the tags of provisioning
// (protocol.md H.3, H.5, H.6).
// Owned by the assembly, control thread. They are written by a thread of their own, in the order of the calls: a disk
// that stands still must not stop the control loop, which the service manager's watchdog looks at.
// Nothing depends on them here: a failure is logged once, until that file succeeds again, and what failed is tried
// again with the next call. While a disk stands still the newest wait: of status and tags one, of dumps as many as
// stay.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/background.h"
#include "base/result.h"
#include "rules/dump.h"

namespace msp::agent {

class FieldFiles {
 public:
  /// `status_file` empty: neither status nor dumps.
  FieldFiles(std::string status_file, std::string key_directory)
      : status_file_(std::move(status_file)), key_directory_(std::move(key_directory)) {}

  bool wants_status() const { return !status_file_.empty(); }
  void status(const std::string& text);
  void rules(const rules::EffectiveItems& items, const policy::Snapshot& rules, std::int64_t unix_ns);
  void tags(const std::string& error_text, std::int64_t unix_ns);

 private:
  struct Stamped {
    std::string text;
    std::int64_t unix_ns = 0;
  };
  struct Waiting {
    std::deque<Stamped> dumps;
    std::size_t dumps_left_out = 0;
    std::optional<Stamped> tags;
    std::optional<std::string> status;
  };

  void write_soon();
  void write();
  void write_dumps(const Waiting& from);
  static bool tell(Result<void> done, bool& failed, std::string_view what);

  std::string status_file_;
  std::string key_directory_;
  bool status_failed_ = false;  // the writer's, as the next two
  bool rules_failed_ = false;
  bool tags_failed_ = false;
  std::mutex mutex_;
  Waiting waiting_;  // under the mutex
  // One that has not begun takes all that came until it does.
  Background writer_{"files", 1};
};

}  // namespace msp::agent
