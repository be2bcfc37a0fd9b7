// SPDX-License-Identifier: Apache-2.0
// The files that the existing agent leaves for others: status.json, rule dumps beside it, the tags of provisioning
// (protocol.md H.3, H.5, H.6).
// Owned by the assembly, control thread. They are written by a thread of their own, in the order of the calls: a disk
// that stands still must not stop the control loop, which the service manager's watchdog looks at.
// Nothing depends on them here: a failure is logged once, until that file succeeds again. While a disk stands still, a
// few calls wait, and further ones are forgotten.
#pragma once

#include <cstdint>
#include <string>

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
  static void tell(Result<void> done, bool& failed, std::string_view what);

  static constexpr std::size_t kMostWaiting = 64;

  std::string status_file_;
  std::string key_directory_;
  bool status_failed_ = false;  // the writer's, as the next two
  bool rules_failed_ = false;
  bool tags_failed_ = false;
  Background writer_{"files", kMostWaiting};
};

}  // namespace msp::agent
