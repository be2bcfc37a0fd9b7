// SPDX-License-Identifier: Apache-2.0
// Entries with fields for systemd's journal, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).
// Made once, before threads start; send() from any thread: one datagram an entry, nothing is shared.
// Never blocks: an entry that the journal does not take at once is false, and the caller has another way.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace msp {

struct JournalField {
  std::string_view name;  ///< capitals, digits and '_', not first; ours begin with MSP_
  std::string value;      ///< any bytes
};

/// The datagram of an entry: "NAME=value", or with its length where the value has a line end.
std::string journal_entry(std::span<const JournalField> fields);

class JournalSocket {
 public:
  static constexpr const char* kPath = "/run/systemd/journal/socket";

  static Result<JournalSocket> connect(const std::string& path = kPath);
  bool send(std::string_view entry) const;

 private:
  explicit JournalSocket(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace msp
