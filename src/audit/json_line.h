// SPDX-License-Identifier: Apache-2.0
// Records as lines of JSON. Schema: docs/audit.md.
// A process asks for the same thing again and again: of such lines only what differs is put together anew.
// One LineWriter a thread. Text is of any origin and is escaped.
// Never fails.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "audit/record.h"
#include "base/clock.h"

namespace msp::audit {

class LineWriter {
 public:
  /// Appends one object and a newline. `encoded`: of the same record. True if its common_part() is the last one's.
  bool append(std::string& out, const Record& record, std::span<const char> encoded);

 private:
  /// What lines have in common whose records have their common_part() alike.
  struct Common {
    std::string part;
    std::string outcome;  ///< from the decision to the key
    std::string end;
  };

  void compose(const Record& record, std::span<const char> part);
  char* write(char* out, const Record& record);

  TimestampWriter time_;
  std::string scratch_;
  Common common_;
};

}  // namespace msp::audit
