// SPDX-License-Identifier: Apache-2.0
// Records as lines of JSON. Schema: docs/audit.md.
// One LineWriter a thread. Text is of any origin and is escaped.
// Never fails.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "audit/record.h"

namespace msp::audit {

class LineWriter {
 public:
  /// Appends one object and a newline.
  void append(std::string& out, const Record& record);

 private:
  char* write(char* out, const Record& record);
  char* write_time(char* out, std::int64_t time_ns);

  // Formatting a date costs more than all the rest: it is done once a second.
  std::int64_t second_ = std::numeric_limits<std::int64_t>::min();
  std::string date_;
  std::string scratch_;
};

}  // namespace msp::audit
