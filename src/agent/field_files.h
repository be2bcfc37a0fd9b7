// SPDX-License-Identifier: Apache-2.0
// The files that the existing agent leaves for others: status.json, rule dumps beside it, the tags of provisioning
// (protocol.md H.3, H.5, H.6).
// Owned by the assembly, control thread; every call blocks on the disk.
// Nothing depends on them here: a failure is logged once, until that file succeeds again.
#pragma once

#include <cstdint>
#include <string>

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

  std::string status_file_;
  std::string key_directory_;
  bool status_failed_ = false;
  bool rules_failed_ = false;
  bool tags_failed_ = false;
};

}  // namespace msp::agent
